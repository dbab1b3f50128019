//! A table of difficult values, the same at every call, of any length without holding it.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use osiris_core::{Error, Result};

use crate::Rows;

/// Rows in a batch.
const BATCH: u64 = 4096;
/// Texts that quoting, NULL handling, encodings and type inference get wrong.
const NAMES: [Option<&str>; 9] = [
    Some("plain"),
    Some("with \"quotes\", and commas"),
    Some("two\nlines"),
    Some("ů ✓ 日本"),
    Some(""),
    None,
    Some("  spaces  "),
    Some("NULL"),
    Some("0012"),
];

/// A table with the columns `id` (BIGINT, unique, from the first id on), `name` (VARCHAR), `amount` (DECIMAL(12,2)), `day`
/// (DATE), `at` (TIMESTAMP) and `flag` (BOOLEAN); all but `id` have NULLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    first: u64,
    rows: u64,
    padding: usize,
}

impl Sample {
    /// The types of the columns, in the store's names.
    pub const TYPES: [&'static str; 6] = ["BIGINT", "VARCHAR", "DECIMAL(12,2)", "DATE", "TIMESTAMP", "BOOLEAN"];

    /// `rows` rows with ids from 0.
    pub const fn new(rows: u64) -> Self {
        Self { first: 0, rows, padding: 0 }
    }

    /// The same with ids from `first`.
    #[must_use]
    pub const fn starting_at(mut self, first: u64) -> Self {
        self.first = first;
        self
    }

    /// The same with a seventh column `padding` (VARCHAR) of `bytes` characters that do not compress well, at most 131,072.
    #[must_use]
    pub const fn with_padding(mut self, bytes: usize) -> Self {
        self.padding = bytes;
        self
    }

    /// `rows` of its rows, behind the first `skip`.
    #[must_use]
    pub const fn slice(mut self, skip: u64, rows: u64) -> Self {
        self.first += skip;
        self.rows = rows;
        self
    }

    /// How many rows there are.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The rows as Arrow, a few thousand at a time. With padding all columns but `id` repeat themselves from batch to batch.
    pub fn batches(self) -> impl Iterator<Item = Result<RecordBatch>> {
        let end = self.first + self.rows;
        let starts = (self.first..end).step_by(4096);
        let empty = (self.rows == 0).then(|| self.batch(self.first..self.first));
        let mut model = None;
        starts
            .map(move |start| {
                let ids = start..(start + BATCH).min(end);
                if self.padding == 0 {
                    return self.batch(ids);
                }
                let model = match &mut model {
                    Some(model) => model,
                    None => model.insert(self.batch(start..start + BATCH)?),
                };
                renumbered(model, ids)
            })
            .chain(empty)
    }

    /// The rows as text, for a comparison.
    ///
    /// # Errors
    /// None that a sample of a sensible length could cause.
    pub fn text(&self) -> Result<Rows> {
        Rows::from_batches(&self.batches().collect::<Result<Vec<_>>>()?)
    }

    fn batch(&self, ids: Range<u64>) -> Result<RecordBatch> {
        let failed = |error| Error::unknown("the sample could not be made").with_source(error);
        let ids: Vec<i64> = ids.filter_map(|id| i64::try_from(id).ok()).collect();
        let unless = |every: i64, id: i64, value: i64| (id % every != every - 1).then_some(value);
        let names: StringArray = ids.iter().map(|id| NAMES[usize::try_from(id % 9).unwrap_or(0)]).collect();
        let amounts: Decimal128Array =
            ids.iter().map(|id| unless(11, *id, (id % 9973) * 37 - 5000).map(i128::from)).collect();
        let days: Date32Array =
            ids.iter().map(|id| unless(13, *id, id % 20_000).and_then(|day| i32::try_from(day).ok())).collect();
        let moments: TimestampMicrosecondArray = ids
            .iter()
            .map(|id| unless(17, *id, 1_000_000_000_000_000 + id * 1_000_000 + id % 99_999 * 10 + 1))
            .collect();
        let flags: BooleanArray = ids.iter().map(|id| unless(7, *id, id % 2).map(|odd| odd == 1)).collect();
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from(ids.clone()))),
            ("name", Arc::new(names)),
            ("amount", Arc::new(amounts.with_precision_and_scale(12, 2).map_err(failed)?)),
            ("day", Arc::new(days)),
            ("at", Arc::new(moments)),
            ("flag", Arc::new(flags)),
        ];
        if self.padding > 0 {
            let padding: StringArray = ids.iter().map(|id| Some(noise(*id, self.padding))).collect();
            columns.push(("padding", Arc::new(padding)));
        }
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
            .map_err(failed)
    }
}

/// The rows of `model` with other ids, as many as there are of these.
fn renumbered(model: &RecordBatch, ids: Range<u64>) -> Result<RecordBatch> {
    let ids: Int64Array = ids.filter_map(|id| i64::try_from(id).ok()).collect();
    let model = model.slice(0, ids.len());
    let mut columns = model.columns().to_vec();
    columns[0] = Arc::new(ids);
    RecordBatch::try_new(model.schema(), columns)
        .map_err(|error| Error::unknown("the sample could not be made").with_source(error))
}

/// Letters that look random, by a linear congruential generator with the constants of Numerical Recipes.
static NOISE: LazyLock<String> = LazyLock::new(|| {
    let mut state = 1_u32;
    (0..1 << 18)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + u8::try_from((state >> 16) % 26).unwrap_or(0))
        })
        .collect()
});

/// A different piece of the noise for every seed.
fn noise(seed: i64, length: usize) -> String {
    let longest = NOISE.len() / 2;
    let start = usize::try_from(seed.unsigned_abs().wrapping_mul(7919)).unwrap_or(0) % longest;
    NOISE[start..start + length.min(longest)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_rows_whatever_the_length() {
        for rows in [0, 1, 4096, 4097, 9000] {
            for sample in [Sample::new(rows), Sample::new(rows).starting_at(7).with_padding(3)] {
                let text = sample.text().unwrap();
                assert_eq!(text.len() as u64, rows);
                let last = text.rows().last().map(|row| row[0].clone().unwrap());
                assert_eq!(last, (rows > 0).then(|| (sample.first + rows - 1).to_string()));
            }
        }
    }

    #[test]
    fn its_values_are_what_they_say() {
        let rows = Sample::new(6).starting_at(3).with_padding(4).text().unwrap();
        let first: Vec<_> = rows.rows()[0].iter().map(|cell| cell.as_deref().unwrap_or("-")).collect();
        assert_eq!(first[..6], ["3", "ů ✓ 日本", "-48.89", "1970-01-04", "2001-09-09 01:46:43.000031", "true"]);
        assert_eq!(rows.rows()[2][1], None);
        assert_eq!(first[6].len(), 4);
    }
}

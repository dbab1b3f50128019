//! `verify: checksums`: the sum of the CRC-32 of every value of a column, as the server computes it over its own text of the values, and
//! as we do over the text of what was decoded. What is compared is what goes to the store; the order of the rows does not matter.
//!
//! Not compared are FLOAT and DOUBLE, which the server prints shorter than they are, and geometries, of which it takes none: of those
//! only the NULLs are counted.

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use osiris_core::{Error, Result};

use crate::client::quote;
use crate::types::{ColumnPlan, Reading};
use crate::write::plain_cell;

/// The sums of one statement.
pub(super) struct Checksums {
    columns: Vec<Column>,
    text: Vec<u8>,
}

struct Column {
    name: String,
    /// The server's text of a value; none where only NULLs are counted.
    expression: Option<String>,
    reading: Reading,
    /// Values that are not NULL.
    values: u64,
    sum: u128,
}

impl Checksums {
    pub(super) fn new(plans: &[ColumnPlan]) -> Self {
        let column = |plan: &ColumnPlan| Column {
            name: plan.name.clone(),
            expression: expression(plan),
            reading: plan.reading,
            values: 0,
            sum: 0,
        };
        Self { columns: plans.iter().map(column).collect(), text: Vec::new() }
    }

    /// What the server is asked for: two numbers for each column.
    pub(super) fn select(&self) -> String {
        let asked = self.columns.iter().map(|column| {
            let sum = column.expression.as_ref().map_or_else(|| "0".to_owned(), |text| format!("SUM(CRC32({text}))"));
            format!("COUNT({}), {sum}", quote(&column.name))
        });
        asked.collect::<Vec<_>>().join(", ")
    }

    /// Adds what goes to the store.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            column.add(array, &mut self.text)?;
        }
        Ok(())
    }

    /// Compares the sums with the server's answer.
    ///
    /// # Errors
    /// Columns whose values are not those of the server.
    pub(super) fn compare(&self, answer: &[Option<String>]) -> Result<()> {
        let number = |index: usize| answer.get(index).and_then(|field| field.as_deref()?.parse::<u128>().ok());
        let different: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(index, column)| {
                // No value has no sum.
                let (values, sum) = (number(index * 2), number(index * 2 + 1).unwrap_or(0));
                values != Some(column.values.into()) || sum != column.sum
            })
            .map(|(_, column)| quote(&column.name))
            .collect();
        if different.is_empty() {
            return Ok(());
        }
        let what = if different.len() == 1 { "column" } else { "columns" };
        Err(Error::integrity(format!(
            "the checksum of the server's values differs from that of the values that arrived: {what} {}",
            different.join(", ")
        ))
        .with_hint(
            "nothing was kept; if the query gives other values each time, set `verify: counts`, else report a bug",
        ))
    }
}

/// The server's text of a column's values, as [`Column::add`] writes it.
fn expression(plan: &ColumnPlan) -> Option<String> {
    let name = quote(&plan.name);
    Some(match plan.reading {
        // The addition takes away what ZEROFILL would print.
        Reading::Bool
        | Reading::BitBool
        | Reading::Bit
        | Reading::Int8
        | Reading::Int16
        | Reading::Int32
        | Reading::Int64
        | Reading::UInt8
        | Reading::UInt16
        | Reading::UInt32
        | Reading::UInt64 => format!("CAST({name} + 0 AS CHAR)"),
        Reading::Decimal(..) | Reading::DateText | Reading::MomentText(_) | Reading::TimeText(_) | Reading::Uuid => {
            format!("CAST({name} AS CHAR)")
        }
        Reading::Text => format!("CONVERT({name} USING utf8mb4)"),
        Reading::Bytes if !plan.is_geometry => name,
        Reading::Date => format!("DATE_FORMAT({name}, '%Y-%m-%d')"),
        Reading::Moment => with_fraction(&name, &format!("DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s')")),
        Reading::Interval | Reading::TimeOfDay => with_fraction(&name, &format!("TIME_FORMAT({name}, '%H:%i:%s')")),
        Reading::Bytes | Reading::Float | Reading::Double | Reading::Null => return None,
    })
}

/// With the fraction of the second where there is one.
fn with_fraction(name: &str, seconds: &str) -> String {
    format!("CONCAT({seconds}, IF(MICROSECOND({name}) = 0, '', CONCAT('.', LPAD(MICROSECOND({name}), 6, '0'))))")
}

impl Column {
    fn add(&mut self, array: &ArrayRef, text: &mut Vec<u8>) -> Result<()> {
        self.values += u64::try_from(array.len() - array.null_count()).unwrap_or(u64::MAX);
        if self.expression.is_none() {
            return Ok(());
        }
        match self.reading {
            Reading::Bytes => array.as_binary::<i32>().iter().flatten().for_each(|bytes| self.sum += crc(bytes)),
            Reading::Uuid => {
                for bytes in array.as_fixed_size_binary().iter().flatten() {
                    let uuid = uuid::Uuid::from_slice(bytes).unwrap_or_default();
                    self.sum += crc(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).as_bytes());
                }
            }
            _ => {
                let cell = plain_cell(array)?;
                for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                    text.clear();
                    cell(row, text).map_err(|reason| {
                        Error::validation(format!(
                            "column {} has a value without a checksum: {reason}",
                            quote(&self.name)
                        ))
                        .with_hint("set `verify: counts`")
                    })?;
                    self.sum += crc(text);
                }
            }
        }
        Ok(())
    }
}

fn crc(text: &[u8]) -> u128 {
    crc32fast::hash(text).into()
}

//! `verify: checksums`: compares the sum of the CRC-32 of every value of a column, computed by the server over its text
//! of the values, with that over the text of the decoded values. This covers what goes to the run store; the order of
//! the rows does not matter.
//!
//! FLOAT and DOUBLE, which the server prints with fewer digits, and geometries, which CRC32 does not accept, are not
//! compared: of those only NULLs are counted.

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use osiris_core::{Error, Result};

use crate::client::quote;
use crate::types::{ColumnDecoder, ColumnPlan};
use crate::write::plain_cell;

/// The checksums of one statement.
pub(super) struct Checksums {
    columns: Vec<Column>,
    text: Vec<u8>,
}

struct Column {
    name: String,
    /// The server's text expression of a value; `None` where only NULLs are counted.
    expression: Option<String>,
    reading: ColumnDecoder,
    /// Values that are not NULL.
    values: u64,
    sum: u128,
}

impl Checksums {
    pub(super) fn new(plans: &[ColumnPlan]) -> Self {
        let column = |plan: &ColumnPlan| Column {
            name: plan.name().to_owned(),
            expression: expression(plan),
            reading: plan.decoder.reading,
            values: 0,
            sum: 0,
        };
        Self { columns: plans.iter().map(column).collect(), text: Vec::new() }
    }

    /// The select list: two numbers for each column.
    pub(super) fn select(&self) -> String {
        let asked = self.columns.iter().map(|column| {
            let sum = column.expression.as_ref().map_or_else(|| "0".to_owned(), |text| format!("SUM(CRC32({text}))"));
            format!("COUNT({}), {sum}", quote(&column.name))
        });
        asked.collect::<Vec<_>>().join(", ")
    }

    /// Adds the values of a batch.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            column.add(array, &mut self.text)?;
        }
        Ok(())
    }

    /// Compares the checksums with those of the server.
    ///
    /// # Errors
    /// When columns differ.
    pub(super) fn compare(&self, answer: &[Option<String>]) -> Result<()> {
        let number = |index: usize| answer.get(index).and_then(|field| field.as_deref()?.parse::<u128>().ok());
        let different: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(index, column)| {
                // SUM of no values is NULL.
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
            "checksums of the source and the received values differ: {what} {}",
            different.join(", ")
        ))
        .with_hint("nothing was kept; if the query is not deterministic, set `verify: counts`, else report a bug"))
    }
}

/// The server's text of a column's values, in the format of [`Column::add`].
fn expression(plan: &ColumnPlan) -> Option<String> {
    let name = quote(plan.name());
    Some(match plan.decoder.reading {
        // The addition removes the padding of ZEROFILL.
        ColumnDecoder::Bool
        | ColumnDecoder::BitBool
        | ColumnDecoder::Bit
        | ColumnDecoder::Int8
        | ColumnDecoder::Int16
        | ColumnDecoder::Int32
        | ColumnDecoder::Int64
        | ColumnDecoder::UInt8
        | ColumnDecoder::UInt16
        | ColumnDecoder::UInt32
        | ColumnDecoder::UInt64 => format!("CAST({name} + 0 AS CHAR)"),
        ColumnDecoder::Decimal(..)
        | ColumnDecoder::DateText
        | ColumnDecoder::TimestampText(_)
        | ColumnDecoder::TimeText(_)
        | ColumnDecoder::Uuid => {
            format!("CAST({name} AS CHAR)")
        }
        ColumnDecoder::Text => format!("CONVERT({name} USING utf8mb4)"),
        ColumnDecoder::Bytes if !plan.decoder.is_geometry => name,
        ColumnDecoder::Date => format!("DATE_FORMAT({name}, '%Y-%m-%d')"),
        ColumnDecoder::Timestamp => with_fraction(&name, &format!("DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s')")),
        ColumnDecoder::Interval | ColumnDecoder::TimeOfDay => {
            with_fraction(&name, &format!("TIME_FORMAT({name}, '%H:%i:%s')"))
        }
        ColumnDecoder::Bytes | ColumnDecoder::Float | ColumnDecoder::Double | ColumnDecoder::Null => return None,
    })
}

/// Adds fractional seconds, if any.
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
            ColumnDecoder::Bytes => array.as_binary::<i32>().iter().flatten().for_each(|bytes| self.sum += crc(bytes)),
            ColumnDecoder::Uuid => {
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

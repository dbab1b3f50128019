//! One cell as JSON that the API turns into the same value as the direct channel writes. Each value goes through the direct channel's
//! encoder first, which refuses what the server would change without a word; its bytes are the value where JSON has to be made
//! of another type than the input's.

use arrow::array::{Array, ArrayRef};
use osiris_core::{Column, ColumnType, Result};

use super::field::Field;
use super::moment;
use osiris_driver_postgres::types::encode::{Cell, Conversion, Refusal, Rules, Width, cell};
use osiris_driver_postgres::types::json;

/// Bytes of the length before each value.
const LENGTH: usize = 4;
const STRANGE: &str = "it has a form that was not expected: report a bug";

/// The writer of a column of one batch.
pub(super) struct JsonCell<'a> {
    array: &'a ArrayRef,
    field: &'a Field,
    cell: Cell<'a>,
}

impl<'a> JsonCell<'a> {
    /// For the values in `array`.
    ///
    /// # Errors
    /// A type that a scan of the store never returns.
    pub(super) fn new(array: &'a ArrayRef, field: &'a Field, rules: &'a Rules) -> Result<Self> {
        let cell = cell(array, &field.source.column_type, &field.conversion, rules)?;
        Ok(Self { array, field, cell })
    }

    /// Writes the value of a row. `scratch` is for the encoder's bytes.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub(super) fn write(&self, row: usize, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.array.is_null(row) {
            if self.field.not_null {
                return Err("it is NULL, and the column of the table is NOT NULL".into());
            }
            out.extend_from_slice(b"null");
            return Ok(());
        }
        scratch.clear();
        (self.cell)(row, scratch)?;
        let bytes = scratch.get(LENGTH..).ok_or(STRANGE)?;
        self.as_json(row, bytes, out)
    }

    fn as_json(&self, row: usize, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Column { column_type, .. } = &self.field.source;
        match &self.field.conversion {
            Conversion::Bool => out.extend_from_slice(if bytes == [1] { b"true" } else { b"false" }),
            Conversion::Integer(Width::Unsigned) => {
                let number = bytes.try_into().map(u32::from_be_bytes).map_err(|_| STRANGE)?;
                out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            Conversion::Integer(_) => {
                out.extend_from_slice(itoa::Buffer::new().format(whole(bytes).ok_or(STRANGE)?).as_bytes());
            }
            Conversion::Date => quoted(&moment::date(bytes).ok_or(STRANGE)?, out),
            Conversion::Timestamp { zoned, .. } => quoted(&moment::timestamp(bytes, *zoned).ok_or(STRANGE)?, out),
            Conversion::Text { .. } | Conversion::Literal => {
                json::string(std::str::from_utf8(bytes).map_err(|_| STRANGE)?, out);
            }
            // Its first byte is a version.
            Conversion::Jsonb => out.extend_from_slice(bytes.get(1..).ok_or(STRANGE)?),
            Conversion::Json => out.extend_from_slice(bytes),
            Conversion::ArrayText | Conversion::ArrayJson { .. } if !is_nested(column_type) => {
                json::value(self.array, &ColumnType::Json, row, out)?;
            }
            _ => json::value(self.array, column_type, row, out)?,
        }
        Ok(())
    }
}

fn is_nested(column_type: &ColumnType) -> bool {
    matches!(column_type, ColumnType::List(_) | ColumnType::Array(..) | ColumnType::Struct(_) | ColumnType::Map(..))
}

fn quoted(plain: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(plain.as_bytes());
    out.push(b'"');
}

/// A whole number of two, four or eight bytes.
fn whole(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        2 => Some(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        4 => Some(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        _ => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
    }
}

//! Encodes a cell as JSON that PostgREST reads as the same value as the binary format. Each value is encoded in binary
//! first, which rejects what the server would change without a warning; its bytes are used if the JSON type differs
//! from the input type.

use arrow::array::{Array, ArrayRef};
use osiris_core::{ColumnType, Result};

use super::cell::cell;
use super::column::ColumnConversion;
use super::convert::{Conversion, Width};
use super::{Cell, ConversionError, TextRules, printed_datetime};
use crate::types::json;

/// Size of the length prefix of a value.
const LENGTH: usize = 4;
const UNEXPECTED: &str = "the encoded value has an unexpected form: report a bug";

/// The values of a column of one batch, as JSON.
pub struct JsonCell<'a> {
    array: &'a ArrayRef,
    column_type: &'a ColumnType,
    conversion: &'a Conversion,
    rules: &'a TextRules,
    cell: Cell<'a>,
}

impl<'a> JsonCell<'a> {
    /// For the values of `array`, of the type `column_type`.
    ///
    /// # Errors
    /// For a type that a scan of the run store never returns.
    pub fn new(
        array: &'a ArrayRef,
        column_type: &'a ColumnType,
        conversion: &'a ColumnConversion,
        rules: &'a TextRules,
    ) -> Result<Self> {
        let conversion = &conversion.0;
        Ok(Self { array, column_type, conversion, rules, cell: cell(array, column_type, conversion, rules)? })
    }

    /// Whether the row has no value.
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// Writes the value of a row, or `null`. `scratch` is a buffer for the encoder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, row: usize, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        scratch.clear();
        (self.cell)(row, scratch)?;
        let bytes = scratch.get(LENGTH..).ok_or(UNEXPECTED)?;
        self.as_json(row, bytes, out)
    }

    fn as_json(&self, row: usize, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ConversionError> {
        match self.conversion {
            Conversion::Bool => out.extend_from_slice(if bytes == [1] { b"true" } else { b"false" }),
            Conversion::Integer(Width::Unsigned) => {
                let number = bytes.try_into().map(u32::from_be_bytes).map_err(|_| UNEXPECTED)?;
                out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            Conversion::Integer(_) => {
                out.extend_from_slice(itoa::Buffer::new().format(whole(bytes).ok_or(UNEXPECTED)?).as_bytes());
            }
            Conversion::Date => quoted(&printed_datetime::date(bytes).ok_or(UNEXPECTED)?, out),
            Conversion::Timestamp { zoned, .. } => {
                quoted(&printed_datetime::timestamp(bytes, *zoned).ok_or(UNEXPECTED)?, out);
            }
            // The server parses a string like a literal.
            Conversion::Text { .. } | Conversion::Literal | Conversion::ArrayText => {
                json::string(std::str::from_utf8(bytes).map_err(|_| UNEXPECTED)?, out);
            }
            // Its first byte is a version.
            Conversion::Jsonb => out.extend_from_slice(bytes.get(1..).ok_or(UNEXPECTED)?),
            Conversion::Json => out.extend_from_slice(bytes),
            Conversion::Array { .. } => self.list(row, self.column_type, out)?,
            Conversion::ArrayJson { .. } if is_nested(self.column_type) => self.list(row, self.column_type, out)?,
            Conversion::ArrayJson { .. } => self.list(row, &ColumnType::Json, out)?,
            _ => json::value(self.array, self.column_type, row, out)?,
        }
        Ok(())
    }

    /// A list as JSON, without the NUL characters that the encoder removed and counted.
    fn list(&self, row: usize, column_type: &ColumnType, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        let mut list = Vec::new();
        json::value(self.array, column_type, row, &mut list)?;
        let list = String::from_utf8(list).map_err(|_| UNEXPECTED)?;
        out.extend_from_slice(self.rules.without_nul(&list).as_bytes());
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

/// An integer of two, four or eight bytes.
fn whole(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        2 => Some(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        4 => Some(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        _ => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
    }
}

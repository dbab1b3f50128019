//! Encodes values in the binary format of COPY: the length, then the bytes that the type's receive function reads. No
//! I/O.
//!
//! * `kind`: the type of a table column; `convert`: the conversion to it;
//! * `cell`: one value; `nested`, `numeric`, `datetime`, `array`, `text_rules`: the longer encodings;
//! * `column`, `json_cell`: the same for writing through a REST API;
//! * `row`: whole rows.

mod array;
mod cell;
mod column;
mod convert;
mod datetime;
mod json_cell;
mod kind;
mod nested;
mod number;
mod numeric;
mod printed_datetime;
mod row;
mod text_rules;

pub use column::{ColumnConversion, ColumnKind};
pub(crate) use convert::conversion;
pub use json_cell::JsonCell;
pub use kind::CatalogType;
pub(crate) use kind::Kind;
pub use osiris_sql::write::ConversionError;
pub(crate) use row::{Field, HEADER, RowWriter, TRAILER};
pub use text_rules::TextRules;

/// Writes the non-NULL value of a row, prefixed with its length.
type Cell<'a> = osiris_sql::write::CellEncoder<'a>;

/// The length of a NULL.
pub(crate) const NULL: i32 = -1;

/// Writes bytes, prefixed with their length.
fn put(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ConversionError> {
    out.extend_from_slice(&length(bytes.len())?.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Writes the output of `write`, prefixed with its length.
fn framed(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), ConversionError>,
) -> Result<(), ConversionError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let bytes = length(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&bytes.to_be_bytes());
    Ok(())
}

fn length(bytes: usize) -> Result<i32, ConversionError> {
    // A row is limited to 1 GiB, which the server checks, unless the length does not fit in 32 bits.
    i32::try_from(bytes).map_err(|_| "value is larger than 1 GiB".into())
}

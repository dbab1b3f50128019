//! Values of the store in the binary form of COPY: the length, then the bytes that the type's receive function reads. No I/O.
//!
//! * `kind`: what a column of the table is; `convert`: which conversion leads there;
//! * `cell`: one value; `nested`, `numeric`, `moment`, `array`: the forms that take more than a line;
//! * `column`, `json_cell`: the same for those who write through a REST API;
//! * `chunk`: rows together, with what is needed to show one that is refused.

mod array;
mod cell;
mod chunk;
mod column;
mod convert;
mod json_cell;
mod kind;
mod moment;
mod nested;
mod number;
mod numeric;
mod printed_datetime;
mod words;

use std::borrow::Cow;

pub(crate) use chunk::{Chunk, Encoder, Field, HEADER, Limits, TRAILER};
pub use column::{ColumnConversion, ColumnKind};
pub(crate) use convert::conversion;
pub use json_cell::JsonCell;
pub use kind::CatalogType;
pub(crate) use kind::Kind;
pub use words::TextRules;

/// Why a value cannot be written, for the reject table.
pub type Refusal = Cow<'static, str>;

/// Writes the value of a row, which is not NULL, with its length before it.
type Cell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<(), Refusal> + 'a>;

/// The length of a NULL.
pub(crate) const NULL: i32 = -1;

/// Writes bytes with their length before them.
fn put(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    out.extend_from_slice(&length(bytes.len())?.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Writes what `write` writes, with its length before it.
fn framed(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let bytes = length(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&bytes.to_be_bytes());
    Ok(())
}

fn length(bytes: usize) -> Result<i32, Refusal> {
    // A row has 1 GiB at most; the server says so itself, unless the length does not even fit.
    i32::try_from(bytes).map_err(|_| "a value may have 1 GiB at most".into())
}

//! JSON rows as Arrow, from files and from APIs: the rows of a document, the envelope around them, and columns whose types follow the values.
//! Numbers are read from their text: one becomes a floating point number only where that is exactly what the text says.
//! In a column of JSON it has that text; only what has left in a batch as a number, before the column became one of JSON,
//! is written by the store, without zeros at the end of a fraction.

mod column;
mod cursor;
mod decoder;
mod document;
mod names;
mod number;
mod options;
mod path;
mod repair;
mod stream;
mod temporal;
mod values;

pub use decoder::{RowDecoder, RowFault};
pub use document::{Cell, Document, Row};
pub use options::{ColumnFilter, FieldTree, Nested, RowOptions};
pub use path::RowPath;
pub use stream::{RowStream, StreamFault, StreamStop};

//! JSON rows as Arrow: where the rows of a document are, what surrounds them, and columns whose types follow the values. Numbers
//! are read from their text: one goes through a floating point number only where that is exactly what the text says.

mod column;
mod cursor;
mod decoder;
mod document;
mod names;
mod number;
mod options;
mod path;
mod stream;
mod temporal;

pub use decoder::RowDecoder;
pub use document::{Cell, Document, Row};
pub use options::{ColumnFilter, Nested, RowOptions};
pub use path::RowPath;
pub use stream::RowStream;

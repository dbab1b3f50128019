//! Cross-field checks of configurations that extractors and writers of SQL databases share. Pure: no I/O, and no SQL
//! but for the guard.

mod source;
mod writer;

pub use source::{SourceFields, column_problems, fragment_problems, reading_kind};
pub use writer::WriterFields;

//! Fields of configurations that extractors and writers of SQL databases share, and the checks across them. Pure: no
//! I/O, and no SQL but for the guard.

mod source;
mod writer;

pub use source::{DecimalOverflow, QueryFields, ReadFields, SourceFields, reading_kind};
pub use writer::{ConflictFields, WriteFields, WriterFields};

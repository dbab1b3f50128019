//! Parquet: two components. DuckDB reads and writes the files; their footers are read here as well, to count and compare.

mod columns;
mod convert;
mod extract;
mod footer;
mod layout;
mod leaves;
mod narrow;
mod partition;
mod write;

pub use extract::ParquetExtractor;
pub use write::ParquetWriter;

use crate::client::FileKind;

/// The files of a directory that are Parquet.
pub(crate) const PARQUET_FILES: FileKind =
    FileKind { name: "Parquet", extensions: &["parquet", "parq", "pq"], compressions: &[] };

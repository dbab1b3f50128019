//! Parquet: an extractor and a writer. DuckDB reads and writes the files; footers are also read here, to count and
//! compare.

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

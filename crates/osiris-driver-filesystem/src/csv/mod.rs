//! CSV: an extractor and a writer, and their shared code.

mod append;
mod dialect;
mod encoding;
mod ends;
mod extract;
mod format;
mod head;
mod header;
mod infer;
mod load;
mod loading;
mod parallel;
mod record;
mod scan;
mod source;
mod types;
mod write;

pub use extract::CsvExtractor;
pub use write::CsvWriter;

pub(crate) use encoding::{Charset, CharsetWriter};
pub(crate) use header::{from_header, numbered, unique};
pub(crate) use infer::ColumnProfile;
pub(crate) use load::find_all;
pub(crate) use loading::{Loading, RowPlaces, Wanted, invalid, kept_rejects};
pub(crate) use scan::Scanned;
pub(crate) use source::{Piece, Scanning};
pub(crate) use types::{DeclaredType, declared, fits};

use crate::client::FileKind;

/// The files of a directory that are CSV.
pub(crate) const CSV_FILES: FileKind = FileKind {
    name: "CSV",
    extensions: &["csv", "tsv", "txt"],
    compressions: &["gz", "gzip", "bz2", "zip", "xz", "zst", "zstd"],
};

//! JSON lines: one object per line. An extractor and a writer.

mod extract;
mod lines;
mod write;

pub use extract::JsonlExtractor;
pub use write::JsonlWriter;

use crate::client::FileKind;
use crate::csv::CSV_FILES;

/// The files of a directory that are JSON lines.
pub(crate) const JSONL_FILES: FileKind =
    FileKind { name: "JSON lines", extensions: &["jsonl", "ndjson"], compressions: CSV_FILES.compressions };

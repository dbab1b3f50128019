//! JSON: an extractor and a writer of documents with an array of rows, and what JSON lines share with them.

mod document;
mod extract;
mod format;
mod rows;
mod task;
mod write;

pub use extract::JsonExtractor;
pub use write::JsonWriter;

pub(crate) use format::{Formatter, Layout};
pub(crate) use rows::{At, RowReader, RowSettings, Unit, types};
pub(crate) use task::{RowSource, RowTask};

use crate::client::FileKind;
use crate::csv::CSV_FILES;

/// The files of a directory that are JSON documents.
pub(crate) const JSON_FILES: FileKind =
    FileKind { name: "JSON", extensions: &["json"], compressions: CSV_FILES.compressions };

//! Arrow IPC files, which are also Feather version 2: an extractor and a writer.

mod extract;
mod source;
mod write;

pub use extract::ArrowExtractor;
pub use write::ArrowWriter;

use std::path::Path;

use crate::client::FileKind;

/// The files of a directory that are Arrow IPC.
pub(crate) const ARROW_FILES: FileKind =
    FileKind { name: "Arrow IPC", extensions: &["arrow", "feather", STREAM], compressions: &[] };

/// The extension of the stream format.
const STREAM: &str = "arrows";

/// Whether a path says that its file has the stream format.
fn is_stream(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case(STREAM))
}

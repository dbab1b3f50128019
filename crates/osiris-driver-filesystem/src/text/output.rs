//! The output file of a writer of text: encodes and compresses text into a temporary file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use osiris_core::{Error, Result};

use crate::compression::Compressor;
use crate::config::WriteCompression;
use crate::csv::{Charset, CharsetWriter};
use crate::error::{io_error, unpack};

/// How many chunks of text may be queued.
const WAITING: usize = 2;

type Writer = CharsetWriter<Compressor<BufWriter<File>>>;

/// A file being written by a separate thread: the next rows are formatted while the last ones are encoded, compressed
/// and stored.
pub(crate) struct Output {
    pieces: SyncSender<Vec<u8>>,
    /// Written buffers, to be reused.
    spent: Receiver<Vec<u8>>,
    /// `None` once its error has been reported.
    thread: Option<JoinHandle<Result<Writer>>>,
    name: String,
}

impl Output {
    /// Writes to `file` from its position; `mark` begins with a byte order mark if the encoding has one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn new(
        file: File,
        name: &str,
        charset: Charset,
        compression: WriteCompression,
        mark: bool,
    ) -> Result<Self> {
        let inner = Path::new(name).file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy());
        let inner = inner.strip_suffix(".zip").unwrap_or(&inner);
        let compressor = Compressor::new(BufWriter::with_capacity(1 << 18, file), compression, inner)
            .map_err(|error| io_error("could not be written", name, error))?;
        let writer = CharsetWriter::new(compressor, charset, mark);
        let (pieces, waiting) = sync_channel(WAITING);
        let (emptied, spent) = sync_channel(WAITING + 1);
        let shown = name.to_owned();
        let thread = std::thread::Builder::new()
            .name("text output".to_owned())
            .spawn(move || write_all(writer, &waiting, &emptied, &shown))
            .map_err(|error| io_error("could not be written", name, error))?;
        Ok(Self { pieces, spent, thread: Some(thread), name: name.to_owned() })
    }

    /// Takes whole lines of text and leaves an empty buffer.
    ///
    /// # Errors
    /// An error of this text or an earlier one: a full disk, or a character that cannot be encoded.
    pub(crate) fn write(&mut self, text: &mut Vec<u8>) -> Result<()> {
        let piece = std::mem::replace(text, self.spent.try_recv().unwrap_or_default());
        match self.pieces.send(piece) {
            Ok(()) => Ok(()),
            // The receiver is closed: the thread has ended with an error.
            Err(_) => ended(self.thread.take()).map(drop),
        }
    }

    /// Writes everything to the file.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub(crate) fn finish(self) -> Result<()> {
        let Self { pieces, thread, name, .. } = self;
        drop(pieces);
        let finished = ended(thread)?.finish().and_then(Compressor::finish).and_then(|mut file| file.flush());
        finished.map_err(|error| io_error("could not be written", &name, error))
    }
}

/// Writes every buffer and returns it, until the channel is closed.
fn write_all(
    mut writer: Writer,
    pieces: &Receiver<Vec<u8>>,
    emptied: &SyncSender<Vec<u8>>,
    name: &str,
) -> Result<Writer> {
    for mut piece in pieces {
        writer.write_all(&piece).map_err(|error| unpack("could not be written", name, error))?;
        piece.clear();
        // The buffer is not needed after the last rows.
        let _ = emptied.try_send(piece);
    }
    Ok(writer)
}

/// The result of the thread.
fn ended(thread: Option<JoinHandle<Result<Writer>>>) -> Result<Writer> {
    match thread.map(JoinHandle::join) {
        Some(Ok(ended)) => ended,
        Some(Err(_)) | None => Err(Error::unknown("writing the file ended in a panic")),
    }
}

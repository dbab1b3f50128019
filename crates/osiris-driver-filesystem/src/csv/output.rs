//! The output file of a CSV writer: encodes and compresses text into a temporary file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use osiris_core::{Error, Result};

use super::dialect::Dialect;
use super::encoding::{Charset, CharsetWriter};
use super::source::open_text;
use crate::compression::Compressor;
use crate::config::{CsvWriterConfig, WriteCompression};
use crate::error::{io_error, unpack};

/// How many chunks of text may be queued.
const WAITING: usize = 2;

type Writer = CharsetWriter<Compressor<BufWriter<File>>>;

/// A file being written by a separate thread: the next rows are formatted while the last ones are encoded, compressed
/// and stored.
pub(super) struct Output {
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
    pub(super) fn new(
        file: File,
        name: &str,
        charset: Charset,
        compression: WriteCompression,
        mark: bool,
    ) -> Result<Self> {
        let inner = Path::new(name).file_name().map_or_else(|| "data.csv".into(), |name| name.to_string_lossy());
        let inner = inner.strip_suffix(".zip").unwrap_or(&inner);
        let compressor = Compressor::new(BufWriter::with_capacity(1 << 18, file), compression, inner)
            .map_err(|error| io_error("could not be written", name, error))?;
        let writer = CharsetWriter::new(compressor, charset, mark);
        let (pieces, waiting) = sync_channel(WAITING);
        let (emptied, spent) = sync_channel(WAITING + 1);
        let shown = name.to_owned();
        let thread = std::thread::Builder::new()
            .name("csv output".to_owned())
            .spawn(move || write_all(writer, &waiting, &emptied, &shown))
            .map_err(|error| io_error("could not be written", name, error))?;
        Ok(Self { pieces, spent, thread: Some(thread), name: name.to_owned() })
    }

    /// Takes whole lines of text and leaves an empty buffer.
    ///
    /// # Errors
    /// An error of this text or an earlier one: a full disk, or a character that cannot be encoded.
    pub(super) fn write(&mut self, text: &mut Vec<u8>) -> Result<()> {
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
    pub(super) fn finish(self) -> Result<()> {
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

/// Checks that rows with these columns can be appended to the file, and returns whether its last line is terminated.
///
/// # Errors
/// For another header, or a file that cannot be read.
pub(super) fn check_append(
    path: &Path,
    name: &str,
    config: &CsvWriterConfig,
    delimiter: u8,
    charset: Charset,
    columns: &[String],
) -> Result<bool> {
    let dialect = Dialect::of_output(delimiter, charset);
    let compression = config.compression.reading();
    let found = open_text(path, name, compression, &dialect, u64::MAX, |source| first_record(source, name, delimiter))?;
    match found {
        None => return Ok(true),
        Some(found) if config.header && found != columns => return Err(other_header(name, &found, columns)),
        Some(found) if found.len() != columns.len() => {
            return Err(Error::validation(format!(
                "`{name}` has {} fields per line, but the rows to append have {}",
                found.len(),
                columns.len()
            ))
            .with_hint("write the same columns, or set `mode: overwrite`"));
        }
        Some(_) => {}
    }
    let single_bytes = compression == crate::config::ReadCompression::None
        && !matches!(charset, Charset::Utf16 | Charset::Utf16Le | Charset::Utf16Be);
    let last = if single_bytes {
        last_byte(path).map_err(|error| io_error("cannot be read", name, error))?
    } else {
        open_text(path, name, compression, &dialect, u64::MAX, |source| {
            last_of(source).map_err(|error| unpack("cannot be read", name, error))
        })?
    };
    Ok(matches!(last, None | Some(b'\n' | b'\r')))
}

/// The fields of the first record; in names the empty string and NULL are the same.
fn first_record(source: &mut dyn Read, name: &str, delimiter: u8) -> Result<Option<Vec<String>>> {
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder.has_headers(false).flexible(true).delimiter(delimiter).from_reader(source);
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(false) => Ok(None),
        Ok(true) => Ok(Some(record.iter().map(str::to_owned).collect())),
        Err(error) => Err(match error.into_kind() {
            csv::ErrorKind::Io(error) => unpack("cannot be read", name, error),
            _ => Error::validation(format!("the first line of `{name}` is not UTF-8"))
                .with_hint("set `encoding` to that of the file, or `mode: overwrite`"),
        }),
    }
}

fn other_header(name: &str, found: &[String], columns: &[String]) -> Error {
    let error = Error::validation(format!(
        "the header of `{name}` is `{}`, but the rows to append have `{}`",
        found.join(", "),
        columns.join(", ")
    ));
    let (mut one, mut two) = (found.to_vec(), columns.to_vec());
    one.sort();
    two.sort();
    if one == two {
        return error.with_hint(format!("set `columns: [{}]`", found.join(", ")));
    }
    error.with_hint("write the same columns, or set `mode: overwrite`")
}

fn last_byte(path: &Path) -> io::Result<Option<u8>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}

fn last_of(source: &mut dyn Read) -> io::Result<Option<u8>> {
    let mut buffer = [0; 8192];
    let mut last = None;
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(last),
            n => last = Some(buffer[n - 1]),
        }
    }
}

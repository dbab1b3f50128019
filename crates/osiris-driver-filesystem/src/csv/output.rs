//! The file a CSV writer writes to: text goes in, encoded and compressed bytes come out, under a temporary name.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use osiris_core::{Error, Result};

use super::compression::Compressor;
use super::dialect::Dialect;
use super::encoding::{Charset, CharsetWriter};
use super::record::{Next, RecordReader};
use super::source::open_text;
use crate::config::{CsvWriterConfig, WriteCompression};
use crate::error::{io_error, unpack};

/// A file being written.
pub(super) struct Output {
    writer: CharsetWriter<Compressor<BufWriter<File>>>,
    name: String,
}

impl Output {
    /// Writes to `file` from where it stands; `mark` begins with a byte order mark where the encoding has one.
    ///
    /// # Errors
    /// The file cannot be written.
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
        Ok(Self { writer: CharsetWriter::new(compressor, charset, mark), name: name.to_owned() })
    }

    /// Writes whole lines of text.
    ///
    /// # Errors
    /// A full disk, or a character that the encoding lacks.
    pub(super) fn write(&mut self, text: &[u8]) -> Result<()> {
        self.writer.write_all(text).map_err(|error| unpack("could not be written", &self.name, error))
    }

    /// Brings everything into the file.
    ///
    /// # Errors
    /// A full disk.
    pub(super) fn finish(self) -> Result<()> {
        let finished = self.writer.finish().and_then(Compressor::finish).and_then(|mut file| file.flush());
        finished.map_err(|error| io_error("could not be written", &self.name, error))
    }
}

/// Checks that rows with these columns can be put behind those of the file, and says whether its last line is ended.
///
/// # Errors
/// A header that is not the same, or a file that cannot be read.
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
    let found = open_text(path, name, compression, &dialect, |source| {
        let mut reader = RecordReader::new(source, name, delimiter, None);
        Ok(match reader.next()? {
            Next::End => None,
            _ => Some(reader.fields().map(|field| field.text()).collect::<Vec<_>>()),
        })
    })?;
    match found {
        None => return Ok(true),
        Some(found) if config.header && found != columns => return Err(other_header(name, &found, columns)),
        Some(found) if found.len() != columns.len() => {
            return Err(Error::validation(format!(
                "`{name}` has {} fields a line, the rows to append have {}",
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
        open_text(path, name, compression, &dialect, |source| {
            last_of(source).map_err(|error| unpack("cannot be read", name, error))
        })?
    };
    Ok(matches!(last, None | Some(b'\n' | b'\r')))
}

fn other_header(name: &str, found: &[String], columns: &[String]) -> Error {
    let error = Error::validation(format!(
        "the header of `{name}` is `{}`, the rows to append have `{}`",
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

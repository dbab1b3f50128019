//! Arrow IPC files to read: which format each has, its columns, and its batches.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_ipc::reader::{FileReader, StreamReader};
use osiris_core::{Code, Error, Result};

use crate::client::SourceFile;
use crate::compression::open;
use crate::error::{io_error, is_of_system};

/// What a file begins with.
const FILE: &[u8] = b"ARROW1";
const STREAM: [u8; 4] = [0xFF; 4];
/// What a stream ends with.
const STREAM_END: [u8; 8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];

/// A file, with its columns.
pub(super) struct ArrowFile {
    pub(super) source: SourceFile,
    pub(super) schema: SchemaRef,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    File,
    Stream,
}

/// The batches of a file.
pub(super) enum Batches {
    File(Box<FileReader<BufReader<File>>>),
    Stream(Box<StreamReader<BufReader<File>>>),
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::File(batches) => batches.next(),
            Self::Stream(batches) => batches.next(),
        }
    }
}

impl ArrowFile {
    /// Reads the columns of a file.
    ///
    /// # Errors
    /// When it is not an Arrow IPC file, damaged, or cannot be read.
    pub(super) fn open(source: SourceFile) -> Result<Self> {
        let name = source.name.as_str();
        let mut file = open(&source.path, name)?;
        let format = format(&mut file, name)?;
        if format == Format::Stream && !ends_as_stream(&mut file).map_err(|error| unreadable(name, error))? {
            return Err(refused(
                name,
                "has no end: it may be truncated",
                "copy the file again, or close the writer that makes it, which marks the end of the stream",
            ));
        }
        file.rewind().map_err(|error| unreadable(name, error))?;
        let schema = match batches(file, format, None).map_err(|error| damaged(name, error))? {
            Batches::File(file) => file.schema(),
            Batches::Stream(stream) => stream.schema(),
        };
        if schema.fields().is_empty() {
            return Err(refused(name, "has no columns", "check how the file was created"));
        }
        Ok(Self { schema, format, source })
    }

    /// The batches, of the columns at these positions, which are sorted.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn batches(&self, projection: Vec<usize>) -> Result<Batches> {
        let name = self.source.name.as_str();
        batches(open(&self.source.path, name)?, self.format, Some(projection)).map_err(|error| damaged(name, error))
    }
}

fn batches(file: File, format: Format, projection: Option<Vec<usize>>) -> Result<Batches, ArrowError> {
    let reader = BufReader::with_capacity(1 << 18, file);
    Ok(match format {
        Format::File => Batches::File(Box::new(FileReader::try_new(reader, projection)?)),
        Format::Stream => Batches::Stream(Box::new(StreamReader::try_new(reader, projection)?)),
    })
}

/// The format by the first bytes.
fn format(file: &mut File, name: &str) -> Result<Format> {
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start).map_err(|error| unreadable(name, error))?;
    match start.as_slice() {
        start if start.starts_with(FILE) => Ok(Format::File),
        start if start.starts_with(&STREAM) => Ok(Format::Stream),
        [] => Err(refused(name, "is empty", "check how the file was created")),
        [b'F', b'E', b'A', b'1', ..] => Err(refused(
            name,
            "is Feather version 1, which is not read",
            "write it as version 2, the default of pandas and pyarrow since 2020",
        )),
        [b'P', b'A', b'R', b'1', ..] => {
            Err(refused(name, "is a Parquet file", "read it with `filesystem.parquet_extractor`"))
        }
        _ => Err(refused(name, "is not an Arrow IPC file", "check how the file was created")),
    }
}

fn ends_as_stream(file: &mut File) -> io::Result<bool> {
    let mut end = [0; STREAM_END.len()];
    if file.metadata()?.len() < end.len() as u64 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    Ok(end == STREAM_END)
}

fn unreadable(name: &str, error: io::Error) -> Error {
    io_error("cannot be read", name, error)
}

/// The error of a file that Arrow cannot read.
pub(super) fn damaged(name: &str, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, error) if is_of_system(&error) => unreadable(name, error),
        error => refused(
            name,
            "is damaged: it cannot be read as an Arrow IPC file",
            "copy the file again, or write it again where it was created",
        )
        .with_source(error),
    }
}

fn refused(name: &str, what: &str, hint: &'static str) -> Error {
    Error::validation(format!("`{name}` {what}")).with_code(Code::InvalidFile).with_hint(hint)
}

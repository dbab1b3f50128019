//! One extraction of JSON: the files are decompressed and read on one thread, their rows stored on another.

use std::io::Read;

use osiris_core::{ExecutionContext, Extracted, Result, TableSender, TableSink, Unit, metric};
use tokio::sync::mpsc;

use super::rows::{Done, Piece, RowReader, RowSettings};
use crate::blocking::{StopFlag, blocking};
use crate::client::{FileKind, Location, SourceFile};
use crate::compression::{default_most, open_decompressed};
use crate::config::ReadCompression;
use crate::scratch::Scratch;
use crate::stdio::Streams;

/// Batches that wait for the store, besides those in its own queue.
const WAITING: usize = 2;

/// A form in which files have rows.
pub(crate) trait RowSource: Send + 'static {
    /// Reads the rows of a file, named `name`.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8; a bad row, unless these are rejected.
    fn read(&self, source: &mut dyn Read, name: &str, rows: &mut RowReader<'_>) -> Result<()>;
}

/// One extraction, with its scratch directory.
pub(crate) struct RowTask<S> {
    pub(crate) source: S,
    pub(crate) settings: RowSettings,
    /// The path of the pipeline.
    pub(crate) path: String,
    pub(crate) compression: ReadCompression,
    /// Maximum uncompressed size of a compressed file; `None` for the default.
    pub(crate) max_uncompressed: Option<u64>,
    /// Maximum number of rows.
    pub(crate) limit: u64,
    pub(crate) kind: &'static FileKind,
    pub(crate) location: Location,
    /// The files of a store, in the scratch directory.
    pub(crate) downloaded: Vec<SourceFile>,
    pub(crate) streams: Streams,
    pub(crate) scratch: Scratch,
}

impl<S: RowSource> RowTask<S> {
    /// Reads all files into `out`.
    ///
    /// # Errors
    /// As for [`RowSource::read`]; when there are no columns, or not those of the configuration.
    pub(crate) async fn run(self, out: &TableSink, ctx: &ExecutionContext) -> Result<Extracted> {
        ctx.rejects().set_limit(self.settings.max_rejects);
        let (pieces, arriving) = mpsc::channel(WAITING);
        let read = blocking(move |stop| self.read(&pieces, stop));
        let (read, stored) = tokio::join!(read, store(arriving, out.widening_sender()?, ctx));
        stored?;
        let (done, bytes) = read?;
        ctx.log_metric(metric::BYTES_READ, bytes, Unit::Bytes, serde_json::Value::Null);
        Ok(Extracted::rows(done.rows).with_altered(done.altered))
    }

    /// Reads all files, until `stop` is set. Returns the size of those that were read, too.
    fn read(&self, pieces: &mpsc::Sender<Piece>, stop: &StopFlag) -> Result<(Done, u64)> {
        let files = self.files()?;
        let mut rows = RowReader::new(&self.settings, self.limit, pieces, stop)?;
        let mut bytes = 0;
        for file in &files {
            if rows.is_full() {
                break;
            }
            let compression = self.compression.resolve(&file.name);
            let most = self.max_uncompressed.unwrap_or_else(|| default_most(file.size));
            rows.begin(&file.name);
            open_decompressed(&file.path, &file.name, compression, most, |source| {
                self.source.read(source, &file.name, &mut rows)
            })?;
            bytes += file.size;
        }
        let done = rows.finish(files.first().map_or("", |file| file.name.as_str()))?;
        Ok((done, bytes))
    }

    /// The files to read; standard input is first copied to a file.
    fn files(&self) -> Result<Vec<SourceFile>> {
        self.scratch.sources(&self.location, &self.path, self.kind, &self.streams, &self.downloaded)
    }
}

/// Stores what the reader sends, until its end.
async fn store(mut pieces: mpsc::Receiver<Piece>, sender: TableSender, ctx: &ExecutionContext) -> Result<()> {
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Rows(batch) => sender.send(batch).await?,
            Piece::Rejects(rejects) => ctx.rejects().push(rejects).await?,
        }
    }
    Ok(())
}

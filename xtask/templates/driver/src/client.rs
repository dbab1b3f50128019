//! The one place that talks to the source and destination: here a directory whose text files are tables, one row a line.
//! Nothing here knows steps or stores.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osiris_core::{Catalog, Error, Health, Resource, ResourceField, ResourceKind, Result};

use crate::SampleConnection;
use crate::error::io_error;

/// What the components ask of the other side. Tests put another in its place [DRV-027].
pub trait Client: Send + Sync {
    /// The names of the tables.
    ///
    /// # Errors
    /// When the other side cannot be asked.
    fn tables(&self) -> Result<Vec<String>>;

    /// The rows of a table, one after another.
    ///
    /// # Errors
    /// When there is no such table or it cannot be read; each row may fail too.
    fn read(&self, table: &str) -> Result<Box<dyn Iterator<Item = Result<String>> + Send>>;

    /// Starts to write a table; with `keep` the rows that are there stay. Nothing can be seen before the draft is published.
    ///
    /// # Errors
    /// When it cannot be written.
    fn draft(&self, table: &str, keep: bool) -> Result<Box<dyn Draft>>;
}

/// A table being written. Dropped without `publish` it leaves nothing.
pub trait Draft: Send {
    /// Adds a row.
    ///
    /// # Errors
    /// When it cannot be written.
    fn push(&mut self, row: &str) -> Result<()>;

    /// Puts the table in place, whole, and says how many rows were added.
    ///
    /// # Errors
    /// When it cannot be; the old table is still there then.
    fn publish(self: Box<Self>) -> Result<u64>;
}

/// Makes a client; `base` is where relative paths start.
pub type Connect = Arc<dyn Fn(&SampleConnection, &Path) -> Result<Box<dyn Client>> + Send + Sync>;

/// The client of users.
pub(crate) fn connect() -> Connect {
    Arc::new(|connection, base| Ok(Box::new(Directory(base.join(&connection.directory)))))
}

/// The tables and their one column.
pub(crate) fn discover(client: &dyn Client, pattern: Option<&str>) -> Result<Catalog> {
    let line = ResourceField {
        name: crate::types::COLUMN.to_owned(),
        ordinal: 1,
        field_type: "string".to_owned(),
        native_type: "line".to_owned(),
        nullable: false,
        primary_key: false,
        max_length: None,
    };
    let wanted = |name: &String| pattern.is_none_or(|pattern| name.contains(pattern));
    let resource = |name| Resource {
        name,
        kind: ResourceKind::Table,
        estimated_row_count: None,
        estimated_size_mb: None,
        fields: vec![line.clone()],
    };
    Ok(Catalog::new(client.tables()?.into_iter().filter(wanted).map(resource).collect()))
}

/// Whether the tables can be listed.
pub(crate) fn check(connect: &Connect, connection: &SampleConnection) -> Health {
    let started = Instant::now();
    let tables = connect(connection, Path::new(".")).and_then(|client| client.tables());
    let latency: Duration = started.elapsed();
    match tables {
        Ok(tables) => {
            Health::ok(latency, "the directory can be listed").with_detail("tables", tables.len().to_string())
        }
        Err(error) => Health::failed(latency, &error),
    }
}

struct Directory(PathBuf);

impl Directory {
    fn file(&self, table: &str) -> PathBuf {
        self.0.join(format!("{table}.txt"))
    }
}

impl Client for Directory {
    fn tables(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.0).map_err(|error| io_error(error, &self.0))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| name.strip_suffix(".txt").map(str::to_owned)).collect())
    }

    fn read(&self, table: &str) -> Result<Box<dyn Iterator<Item = Result<String>> + Send>> {
        let path = self.file(table);
        let file = File::open(&path).map_err(|error| io_error(error, &path))?;
        Ok(Box::new(BufReader::new(file).lines().map(move |line| line.map_err(|error| io_error(error, &path)))))
    }

    fn draft(&self, table: &str, keep: bool) -> Result<Box<dyn Draft>> {
        let path = self.file(table);
        let unfinished = self.0.join(format!(".{table}.txt.part"));
        if keep && path.exists() {
            fs::copy(&path, &unfinished).map_err(|error| io_error(error, &path))?;
        } else {
            File::create(&unfinished).map_err(|error| io_error(error, &unfinished))?;
        }
        let file = File::options().append(true).open(&unfinished).map_err(|error| io_error(error, &unfinished))?;
        Ok(Box::new(FileDraft { file: BufWriter::new(file), unfinished, path, rows: 0 }))
    }
}

struct FileDraft {
    file: BufWriter<File>,
    unfinished: PathBuf,
    path: PathBuf,
    rows: u64,
}

impl Draft for FileDraft {
    fn push(&mut self, row: &str) -> Result<()> {
        self.rows += 1;
        writeln!(self.file, "{row}").map_err(|error| io_error(error, &self.path))
    }

    fn publish(mut self: Box<Self>) -> Result<u64> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(|error| io_error(error, &self.path))?;
        fs::rename(&self.unfinished, &self.path).map_err(|error| io_error(error, &self.path))?;
        Ok(self.rows)
    }
}

impl Drop for FileDraft {
    fn drop(&mut self) {
        // After `publish` there is nothing to remove, and before it nobody waits for an error.
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// Work that blocks, on a thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| Error::unknown("work on the source ended in a panic").with_source(error))?
}

//! Opening the database of a run: settings first, then the sandbox, then the lock. The order matters, see
//! `docs/decisions`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};

use super::arrow_scan::{ROWS, Rows};
use super::mask::ERROR_MACRO;
use super::{STEPS, default_memory_limit, quote_text, store_error};
use crate::{Error, Result};

/// Where the tables of a run live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// In a file: survives a crash, so a run can be resumed. The default.
    File(PathBuf),
    /// In memory, spilling to the scratch directory beyond the limit: faster, gone with the process.
    Memory,
}

/// How to open a [`Store`](super::Store).
#[derive(Debug, Clone)]
pub struct StoreOptions {
    kind: StoreKind,
    scratch: PathBuf,
    memory_limit: u64,
    threads: Option<usize>,
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
    started: chrono::DateTime<chrono::Utc>,
}

impl StoreOptions {
    /// A store of `kind` that spills and spools into the directory `scratch`, with the default memory limit and a
    /// thread for every core.
    pub fn new(kind: StoreKind, scratch: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            scratch: scratch.into(),
            memory_limit: default_memory_limit(),
            threads: None,
            directories: Vec::new(),
            files: Vec::new(),
            started: chrono::Utc::now(),
        }
    }

    /// How much memory DuckDB may use, in bytes. Default: 60% of the machine's or the cgroup's.
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// How many threads DuckDB uses. Default: one for every core.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The files that SQL may read and write, by their exact names. Default: none.
    #[must_use]
    pub fn with_files(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.files.extend(files);
        self
    }

    /// Directories of the run's own that SQL may read from and write to, besides the scratch directory. Default: none.
    #[must_use]
    pub fn with_directories(mut self, directories: impl IntoIterator<Item = PathBuf>) -> Self {
        self.directories.extend(directories);
        self
    }

    /// What `now()`, `today()` and `current_date` return in SQL: the start of the run, which makes it reproducible.
    #[must_use]
    pub fn with_start(mut self, started: chrono::DateTime<chrono::Utc>) -> Self {
        self.started = started;
        self
    }

    /// The limit on bytes in flight into a table: an eighth of DuckDB's memory, within bounds.
    pub(super) fn in_flight(&self) -> usize {
        usize::try_from(self.memory_limit / 8).unwrap_or(usize::MAX).clamp(4 << 20, 64 << 20)
    }

    pub(super) fn memory_limit(&self) -> u64 {
        self.memory_limit
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match &self.kind {
            StoreKind::File(path) => Some(path),
            StoreKind::Memory => None,
        }
    }

    pub(super) fn scratch_dir(&self) -> &Path {
        &self.scratch
    }
}

/// A transaction log of this size would be checkpointed in mid-load, which is pure cost: a run's database is loaded
/// once.
const CHECKPOINT_THRESHOLD: &str = "1TB";

pub(super) fn open(options: &StoreOptions) -> Result<Connection> {
    crate::private::create_dir_all(&options.scratch).map_err(|error| {
        Error::from(error).with_context("directory", options.scratch.display()).with_hint("choose another `--run-dir`")
    })?;
    let opened = |error| store_error(error, "the run store could not be opened");
    let config = Config::default().enable_autoload_extension(false).map_err(opened)?;
    let connection = match &options.kind {
        StoreKind::File(path) => Connection::open_with_flags(path, config),
        StoreKind::Memory => Connection::open_in_memory_with_flags(config),
    }
    .map_err(opened)?;
    connection.register_table_function::<Rows>(ROWS).map_err(opened)?;
    connection.execute_batch(&settings(options)).map_err(opened)?;
    connection.execute_batch(&catalog(options)).map_err(opened)?;
    connection.execute_batch(&sandbox(options)?).map_err(opened)?;
    tighten(options)?;
    Ok(connection)
}

/// DuckDB creates its files with the mode that the umask gives.
fn tighten(options: &StoreOptions) -> Result<()> {
    for file in options.path().into_iter().flat_map(|path| [path.to_path_buf(), wal_of(path)]) {
        match crate::private::tighten(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// The write-ahead log of a database.
fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".wal");
    name.into()
}

fn settings(options: &StoreOptions) -> String {
    let mut sql = format!(
        "SET memory_limit = '{}B';
         SET temp_directory = {};
         SET checkpoint_threshold = '{CHECKPOINT_THRESHOLD}';
         SET preserve_insertion_order = true;
         SET GLOBAL errors_as_json = true;
         SET enable_progress_bar = false;",
        options.memory_limit,
        quote_text(&options.scratch.join("spill").display().to_string()),
    );
    if let Some(threads) = options.threads {
        sql.push_str(&format!("SET threads = {};", threads.max(1)));
    }
    if matches!(options.kind, StoreKind::File(_)) {
        // Nothing to gain from moving the log into a file that is about to be deleted, or kept as it is for a resume.
        sql.push_str("PRAGMA disable_checkpoint_on_shutdown;");
    }
    sql
}

/// The schemas of step tables, rejects and the store's catalog; and the clock of the run. In one transaction, since each
/// waits for the disk.
fn catalog(options: &StoreOptions) -> String {
    let instant = options.started.naive_utc().format("%Y-%m-%d %H:%M:%S%.6f");
    let date = options.started.date_naive();
    format!(
        "BEGIN TRANSACTION;
         CREATE SCHEMA IF NOT EXISTS {STEPS};
         CREATE SCHEMA IF NOT EXISTS rejects;
         CREATE SCHEMA IF NOT EXISTS osiris;
         CREATE TABLE IF NOT EXISTS osiris.tables (step VARCHAR, rows UBIGINT, columns VARCHAR, note VARCHAR);
         CREATE TABLE IF NOT EXISTS osiris.sent (step VARCHAR, note VARCHAR);
         CREATE OR REPLACE MACRO now() AS TIMESTAMP '{instant}';
         CREATE OR REPLACE MACRO current_timestamp() AS TIMESTAMP '{instant}';
         CREATE OR REPLACE MACRO today() AS DATE '{date}';
         CREATE OR REPLACE MACRO current_date() AS DATE '{date}';
         CREATE OR REPLACE MACRO get_current_timestamp() AS TIMESTAMP '{instant}';
         {ERROR_MACRO};
         COMMIT;"
    )
}

/// Restricts the database to the files of the plan and the directories of the run, then locks the settings.
fn sandbox(options: &StoreOptions) -> Result<String> {
    let directories = options.directories.iter().chain([&options.scratch]);
    let directories: Vec<String> = both_names(directories)?
        .iter()
        .map(|directory| quote_text(&format!("{}/", directory.display().to_string().trim_end_matches('/'))))
        .collect();
    let files: Vec<String> =
        both_names(options.files.iter())?.iter().map(|file| quote_text(&file.display().to_string())).collect();
    // The store sets its threads itself, as work comes and goes, and asks for the profile of some statements and for the
    // progress of others. SQL of a step sets nothing: its statements are checked.
    Ok(format!(
        "SET allowed_directories = [{}];
         SET allowed_paths = [{}];
         SET enable_external_access = false;
         SET allowed_configs = ['threads', 'enable_profiling', 'profiling_coverage', 'enable_progress_bar',
                                'enable_progress_bar_print'];
         SET lock_configuration = true;",
        directories.join(", "),
        files.join(", ")
    ))
}

/// Absolute paths, and for a path with symbolic links the real path as well.
fn both_names<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for path in paths {
        let absolute = std::path::absolute(path)?;
        names.extend(absolute.canonicalize().ok().filter(|real| *real != absolute));
        names.push(absolute);
    }
    Ok(names)
}

/// The paths that SQL has access to.
pub(super) struct SandboxPaths {
    directories: Vec<PathBuf>,
    files: HashSet<PathBuf>,
}

impl SandboxPaths {
    pub(super) fn new(options: &StoreOptions) -> Result<Self> {
        Ok(Self {
            directories: both_names(options.directories.iter().chain([&options.scratch]))?,
            files: both_names(options.files.iter())?.into_iter().collect(),
        })
    }

    /// A name that DuckDB would treat as a glob pattern could match other files as well: it is not accessible.
    pub(super) fn has(&self, file: &Path) -> bool {
        let exact = |path: &Path| !path.to_string_lossy().contains(['*', '?', '[']);
        let has = |path: &Path| {
            self.files.contains(path) && exact(path)
                || self.directories.iter().any(|directory| path.strip_prefix(directory).is_ok_and(exact))
        };
        file.canonicalize().is_ok_and(|real| has(&real))
    }
}

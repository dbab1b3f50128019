//! Removing old runs: their records, rejects and tables. What a run may still need stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use osiris_core::{Error, Result, private};

use super::outcome::Outcome;
use super::past::{PastRun, Runs, resumable};
use super::repeat;
use crate::file::file_error;

/// How the directory of a run is called while it is removed: it is no run any more, and the next cleaning goes on with it.
const REMOVED: &str = ".removed";

/// Which runs to remove: those that are older than both limits allow.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CleanOptions {
    /// The newest runs of each pipeline that stay, however old they are. Default: 20.
    pub keep: usize,
    /// Runs that began within this time stay. Default: 30 days.
    pub older_than: Duration,
    /// Say what would be removed, and remove nothing.
    pub dry_run: bool,
}

impl Default for CleanOptions {
    fn default() -> Self {
        Self { keep: 20, older_than: Duration::from_secs(30 * 24 * 3600), dry_run: false }
    }
}

impl CleanOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the newest `runs` of each pipeline.
    #[must_use]
    pub fn with_keep(mut self, runs: usize) -> Self {
        self.keep = runs;
        self
    }

    /// Keeps what began within this time.
    #[must_use]
    pub fn with_older_than(mut self, age: Duration) -> Self {
        self.older_than = age;
        self
    }

    /// Removes nothing.
    #[must_use]
    pub fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// A run that was removed, or would be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CleanedRun {
    /// The run.
    pub run: PastRun,
    /// The size of its files.
    pub bytes: u64,
}

/// What came of cleaning.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Cleaned {
    /// The runs that were removed, or would be.
    pub runs: Vec<CleanedRun>,
    /// What could not be removed, and why.
    pub failures: Vec<Error>,
}

impl Runs {
    /// Removes old runs. Never one that is going on, and of those that failed since their pipeline last succeeded neither the latest that
    /// can be resumed, nor one that has written rows which a new run would write again.
    ///
    /// # Errors
    /// The directory of the runs cannot be read.
    pub fn clean(&self, options: &CleanOptions) -> Result<Cleaned> {
        self.clean_at(options, Utc::now())
    }

    fn clean_at(&self, options: &CleanOptions, now: DateTime<Utc>) -> Result<Cleaned> {
        let runs = self.list()?;
        let mut cleaned = Cleaned::default();
        if !options.dry_run {
            cleaned.failures = self.remove_leftovers();
        }
        for run in superseded(&runs, options, now) {
            let bytes = size(run.directory());
            match if options.dry_run { Ok(true) } else { remove(run) } {
                Ok(true) => cleaned.runs.push(CleanedRun { run: run.clone(), bytes }),
                Ok(false) => {}
                Err(error) => cleaned.failures.push(error),
            }
        }
        Ok(cleaned)
    }

    /// What an earlier cleaning could not finish; why, where this one cannot either.
    fn remove_leftovers(&self) -> Vec<Error> {
        let entries = fs::read_dir(self.directory()).into_iter().flatten().flatten().map(|entry| entry.path());
        let leftovers = entries.filter(|path| is_being_removed(path));
        leftovers.filter_map(|path| fs::remove_dir_all(&path).map_err(|error| file_error(error, &path)).err()).collect()
    }
}

/// Whether a directory was that of a run that is being removed.
pub(super) fn is_being_removed(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(REMOVED))
}

/// The runs that may go; `all` has the latest first.
fn superseded<'a>(all: &'a [PastRun], options: &CleanOptions, now: DateTime<Utc>) -> Vec<&'a PastRun> {
    let mut seen: BTreeMap<(&str, Option<&Path>), usize> = BTreeMap::new();
    let (mut succeeded, mut kept) = (BTreeSet::new(), BTreeSet::new());
    let is_old = |run: &PastRun| {
        let age = (now - run.record().started_at).to_std().unwrap_or_default();
        age > options.older_than
    };
    all.iter()
        .filter(|run| {
            let record = run.record();
            let pipeline = (record.pipeline.as_str(), record.file.as_deref());
            let newer = seen.entry(pipeline).or_default();
            *newer += 1;
            if !record.dry_run && run.outcome() == Outcome::Done {
                succeeded.insert(pipeline);
            }
            let is_open = !record.dry_run && !succeeded.contains(&pipeline);
            // Runs since the last one that succeeded decide what a new one may do: the latest that has what it takes can be resumed, and
            // the commits of each keep a new run from writing the same rows again.
            let is_resumable = is_open
                && record.file.is_some()
                && !kept.contains(&pipeline)
                && resumable(run, all, false).is_ok()
                && kept.insert(pipeline);
            let is_candidate = *newer > options.keep && is_old(run) && run.outcome() != Outcome::Running;
            is_candidate && !is_resumable && !(is_open && repeat::has_unrepeatable_commits(run))
        })
        .collect()
}

/// Removes a run, unless a process has taken it up again.
fn remove(run: &PastRun) -> Result<bool> {
    let directory = run.directory();
    // Held until it is gone: nobody can take it up again meanwhile. Whoever has done so before may have changed what it is.
    let path = directory.join("lock");
    let lock = private::create(&path).map_err(|error| file_error(error, &path))?;
    if lock.try_lock().is_err() || PastRun::open(directory)?.record() != run.record() {
        return Ok(false);
    }
    let mut name = directory.file_name().unwrap_or_default().to_os_string();
    name.push(REMOVED);
    let removed: PathBuf = directory.with_file_name(name);
    fs::rename(directory, &removed).map_err(|error| file_error(error, directory))?;
    fs::remove_dir_all(&removed).map_err(|error| file_error(error, &removed))?;
    drop(lock);
    Ok(true)
}

/// The bytes of all files in a directory; what cannot be read counts as none.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

//! The directory of a run: `.osiris/runs/<run-id>/` with the record, the ledger, telemetry, the store, rejects,
//! artifacts.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use osiris_core::{Code, Error, Redactor, Result, private, safe_name};
use sha2::{Digest, Sha256};

use super::ledger::Ledger;
use super::outcome::Outcome;
use super::past::{LEDGER, PastRun, RECORD, RunRecord, Runs, VERSION};
use super::state::StateGeneration;
use crate::Plan;
use crate::file::{file_error, remove_unfinished, write_atomically};

/// A run's own directory, locked against other processes while the run goes on.
pub(super) struct RunDirectory {
    path: PathBuf,
    record: std::sync::Mutex<RunRecord>,
    id: String,
    started: DateTime<Utc>,
    redactor: Redactor,
    _lock: File,
}

impl RunDirectory {
    /// Makes the directory of a new run.
    pub(super) fn create(root: &Path, plan: &Plan, states: BTreeMap<String, StateGeneration>) -> Result<Self> {
        let number = Runs::below(root).next_number()?;
        let started = Utc::now();
        let runs = root.join("runs");
        let mut salt = 0u32;
        let (id, path) = loop {
            let id = run_id(started, plan.name(), salt);
            let path = runs.join(&id);
            private::create_dir_all(&runs).map_err(|error| file_error(error, &runs))?;
            match private::create_dir(&path) {
                Ok(()) => break (id, path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => salt += 1,
                Err(error) => return Err(file_error(error, &path)),
            }
        };
        Self::open(path, RunRecord { states, ..RunRecord::new(&id, plan, started, number) }, plan.redactor())
    }

    /// Takes over the directory of a run that failed, one of those below `root`.
    pub(super) fn reopen(
        root: &Path,
        past: &PastRun,
        plan: &Plan,
        states: BTreeMap<String, StateGeneration>,
    ) -> Result<Self> {
        let mut record = past.record().clone();
        if record.pipeline != plan.name() {
            return Err(Error::validation(format!(
                "run {} belongs to pipeline `{}`, not to `{}`",
                record.run_id,
                record.pipeline,
                plan.name()
            )));
        }
        record.outcome = Outcome::Running;
        record.finished_at = None;
        record.program_version = Some(VERSION.to_owned());
        record.states = states;
        record.resumed_as = Runs::below(root).next_number()?;
        Self::open(past.directory().to_path_buf(), record, plan.redactor())
    }

    fn open(path: PathBuf, record: RunRecord, redactor: &Redactor) -> Result<Self> {
        let lock_path = path.join("lock");
        let lock = private::create(&lock_path).map_err(|error| file_error(error, &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::validation(format!("run {} is still running in another process", record.run_id))
                    .with_code(Code::AlreadyRunning)
                    .with_hint("wait for it, or stop it first"));
            }
            Err(TryLockError::Error(error)) => return Err(file_error(error, &lock_path)),
        }
        remove_unfinished(&path);
        let rejects = path.join("rejects");
        private::create_dir_all(&rejects).map_err(|error| file_error(error, &rejects))?;
        let (id, started) = (record.run_id.clone(), record.started_at);
        let directory =
            Self { path, record: std::sync::Mutex::new(record), id, started, redactor: redactor.clone(), _lock: lock };
        directory.write_record()?;
        Ok(directory)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Which state each extractor began with.
    pub(super) fn states(&self) -> BTreeMap<String, StateGeneration> {
        self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner).states.clone()
    }

    /// Makes all files private: DuckDB creates its files with the mode that the umask gives.
    pub(super) fn tighten(&self) {
        // The scratch directory may hold names of files that are the user's.
        let scratch = self.scratch();
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten().map(|entry| entry.path());
        let tightened = entries.filter(|path| *path != scratch).try_for_each(|path| private::tighten_all(&path));
        if let Err(error) = tightened {
            tracing::warn!(path = %self.path.display(), %error, "the directory of the run stays readable by others");
        }
    }

    /// When the run began; a resumed run keeps the time of the first try, which its SQL may have used.
    pub(super) fn started(&self) -> DateTime<Utc> {
        self.started
    }

    pub(super) fn store_file(&self) -> PathBuf {
        self.path.join("store.duckdb")
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    pub(super) fn artifacts(&self) -> PathBuf {
        self.path.join("artifacts")
    }

    pub(super) fn rejects(&self) -> PathBuf {
        self.path.join("rejects")
    }

    /// Where the files of new states are until the run has ended well.
    pub(super) fn state_files(&self) -> PathBuf {
        self.path.join("state")
    }

    /// The file for the rejects of a step.
    pub(super) fn rejects_file(&self, step: &str) -> PathBuf {
        self.rejects().join(format!("{}.parquet", safe_name(step)))
    }

    /// Writes the ledger.
    pub(super) fn write_ledger(&self, ledger: &Ledger) -> Result<()> {
        let path = self.path.join(LEDGER);
        let text = serde_json::to_vec_pretty(ledger).unwrap_or_default();
        self.tighten();
        write_atomically(&path, &text).map_err(|error| file_error(error, &path))
    }

    /// Writes how the run ended.
    pub(super) fn finish(&self, outcome: Outcome, ledger: &Ledger, problems: &[String]) -> Result<()> {
        self.write_ledger(ledger)?;
        {
            let mut record = self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            record.outcome = outcome;
            record.finished_at = Some(Utc::now());
            record.problems = problems.iter().map(|problem| self.redactor.scrub(problem).into_owned()).collect();
        }
        self.write_record()
    }

    /// Writes the record of an earlier end again.
    pub(super) fn restore(&self, past: &RunRecord) -> Result<()> {
        past.clone_into(&mut self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.write_record()
    }

    fn write_record(&self) -> Result<()> {
        let path = self.path.join(RECORD);
        let record = self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = serde_json::to_vec_pretty(&*record).unwrap_or_default();
        write_atomically(&path, &text).map_err(|error| file_error(error, &path))
    }

    /// Removes what is no longer needed: temporary files always, the store when `store`, empty directories.
    pub(super) fn clean(&self, store: bool) -> Result<()> {
        remove_tree(&self.scratch())?;
        if store {
            remove_tree(&self.state_files())?;
        }
        if store {
            for file in [self.store_file(), self.path.join("store.duckdb.wal")] {
                match fs::remove_file(&file) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file_error(error, &file)),
                    _ => {}
                }
            }
        }
        // Only empty directories are removed: a failure is not an error.
        let _ = fs::remove_dir(self.rejects());
        let _ = fs::remove_dir(self.artifacts());
        let _ = fs::remove_file(self.path.join("lock"));
        Ok(())
    }
}

fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_error(error, path)),
        _ => Ok(()),
    }
}

/// `20241121-013000-1a2b3c`: short enough to type. The first three digits of the last part are the fraction of the second,
/// in 4096ths, so that runs that start in the same second still sort by time; the others tell runs of one moment apart.
fn run_id(started: DateTime<Utc>, pipeline: &str, salt: u32) -> String {
    let mut digest = Sha256::new();
    digest.update(pipeline);
    digest.update(started.timestamp_nanos_opt().unwrap_or_default().to_le_bytes());
    digest.update(std::process::id().to_le_bytes());
    digest.update(salt.to_le_bytes());
    let hash = digest.finalize();
    let hash = u16::from_be_bytes([hash[0], hash[1]]) & 0xfff;
    // A leap second has more than a second's nanoseconds.
    let fraction = (u64::from(started.timestamp_subsec_nanos()) * 4096 / 1_000_000_000).min(0xfff);
    format!("{}-{fraction:03x}{hash:03x}", started.format("%Y%m%d-%H%M%S"))
}

//! Runs that have ended or were killed: what `runs list` shows and `run --resume` goes on with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use osiris_core::problem::nearest;
use osiris_core::{Code, Error, RejectFile, Result, Role};
use serde::{Deserialize, Serialize};

use super::clean::is_being_removed;
use super::ledger::Ledger;
use super::outcome::Outcome;
use super::report::StepStatus;
use super::state::StateGeneration;
use crate::Plan;
use crate::file::file_error;
use crate::group::FoundTables;

/// The file of a run's record.
pub(super) const RECORD: &str = "run.json";
/// The file of its ledger.
pub(super) const LEDGER: &str = "ledger.json";

/// The version that a run is recorded with: all crates have the same.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a file of DuckDB begins with: a header of the file and two of the database. DuckDB writes them one after the other, and
/// opens no file that has fewer.
const STORE_HEADERS: u64 = 3 * 4096;

/// Runs that are named where an id means several.
const MAX_NAMED: usize = 5;

/// What is known of a run from its beginning: enough to plan it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub run_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline file.
    pub file: Option<PathBuf>,
    /// The parameters the user gave, by name. One that is secret, by its declaration or its name, is not kept, nor one
    /// with a known secret in its value.
    pub params: BTreeMap<String, String>,
    /// The parameters that the user gave and that are not kept: a run that is resumed needs them again.
    #[serde(default)]
    pub withheld: Vec<String>,
    /// The profile the user chose.
    pub profile: Option<String>,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was wrong with the ledger or the records although no step failed.
    pub problems: Vec<String>,
    /// Which saved state each extractor began with.
    #[serde(default)]
    pub states: BTreeMap<String, StateGeneration>,
    /// Its number: a later run of its pipeline has a greater one, even if the clock was set back between them. Runs of
    /// different pipelines that begin at the same time may have the same.
    /// 0: written by a version without numbers.
    #[serde(default)]
    pub number: u64,
    /// The number that it took when it was last resumed; else `number`.
    #[serde(default)]
    pub resumed_as: u64,
    /// The tables that its groups read.
    #[serde(default, skip_serializing_if = "FoundTables::is_empty")]
    pub tables: FoundTables,
    /// The version of Osiris that ran it, or resumed it last. None: a version that did not record it.
    #[serde(default)]
    pub program_version: Option<String>,
}

impl RunRecord {
    pub(super) fn new(run_id: &str, plan: &Plan, started_at: DateTime<Utc>, number: u64) -> Self {
        let file =
            plan.pipeline().source.path().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
        let given = plan.options().params.iter();
        let is_kept =
            |(name, value): &(&String, &String)| !plan.is_secret_param(name) && plan.redactor().scrub(value) == **value;
        Self {
            run_id: run_id.to_owned(),
            pipeline: plan.name().to_owned(),
            file,
            params: given.clone().filter(is_kept).map(|(name, value)| (name.clone(), value.clone())).collect(),
            withheld: given.clone().filter(|given| !is_kept(given)).map(|(name, _)| name.clone()).collect(),
            profile: plan.options().profile.clone(),
            dry_run: plan.is_dry_run(),
            started_at,
            finished_at: None,
            outcome: Outcome::Running,
            problems: Vec::new(),
            states: BTreeMap::new(),
            number,
            resumed_as: number,
            tables: plan.tables(),
            program_version: Some(VERSION.to_owned()),
        }
    }

    /// What runs are sorted by. The time tells apart only runs without numbers.
    fn position(&self) -> (u64, DateTime<Utc>, &str) {
        (self.number, self.started_at, &self.run_id)
    }

    /// Whether it began, or was resumed, after `other` had begun. `last` is the last time known of it.
    fn is_newer_than(&self, other: &Self, last: DateTime<Utc>) -> bool {
        (self.resumed_as, last) > (other.number, other.started_at)
    }
}

/// A run in its directory.
#[derive(Debug, Clone)]
pub struct PastRun {
    directory: PathBuf,
    record: RunRecord,
    ledger: Option<Ledger>,
}

impl PastRun {
    /// Reads a run's directory.
    ///
    /// # Errors
    /// When its record is not there or cannot be read.
    pub fn open(directory: &Path) -> Result<Self> {
        let record = read_json(&directory.join(RECORD))?;
        let ledger = directory.join(LEDGER);
        let ledger = if ledger.exists() { Some(read_json(&ledger)?) } else { None };
        Ok(Self { directory: directory.to_path_buf(), record, ledger })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is known of it.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Its ledger, as far as the run got.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref()
    }

    /// The rejected rows of a step; none where it rejected none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open_rejects(&self, step: &str) -> Result<Option<RejectFile>> {
        let steps = self.ledger.as_ref().map(|ledger| ledger.steps.as_slice()).unwrap_or_default();
        let file = steps.iter().find(|entry| entry.id == step).and_then(|entry| entry.rejects.as_ref());
        file.map(|file| RejectFile::open(&self.directory.join(file))).transpose()
    }

    /// Whether its tables are still there. A run that was killed while it made its store, or had no space for it, has none.
    pub fn has_store(&self) -> bool {
        self.directory.join("store.duckdb").metadata().is_ok_and(|found| found.len() >= STORE_HEADERS)
    }

    /// How it ended. A run that is recorded as going on, and whose directory no process holds, was killed.
    pub fn outcome(&self) -> Outcome {
        match self.record.outcome {
            Outcome::Running if !self.is_held() => Outcome::Interrupted,
            outcome => outcome,
        }
    }

    /// How long it took, if it has ended.
    pub fn duration(&self) -> Option<Duration> {
        let finished = self.record.finished_at?;
        (finished - self.record.started_at).to_std().ok()
    }

    /// Whether it is a run of the pipeline in `file`.
    pub(crate) fn is_of(&self, file: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_default();
        self.record.file.as_deref().is_some_and(|own| real(own) == real(file))
    }

    /// Whether it is known to have written, or may have.
    fn has_written(&self) -> bool {
        let steps = self.ledger.iter().flat_map(|ledger| &ledger.steps);
        let mut writes = steps.filter(|step| step.role == Role::Write);
        writes.any(|step| step.status.is_done() || step.status == StepStatus::Ambiguous)
    }

    fn is_held(&self) -> bool {
        let Ok(lock) = fs::File::open(self.directory.join("lock")) else { return false };
        matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).map_err(|error| file_error(error, path))?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::validation("a file of the run cannot be read").with_context("path", path.display()).with_source(error)
    })
}

/// All runs below a root.
#[derive(Debug, Clone)]
pub struct Runs {
    directory: PathBuf,
}

impl Runs {
    /// The runs below `root`, the directory called `.osiris`.
    pub fn below(root: &Path) -> Self {
        Self { directory: root.join("runs") }
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// All of them, the latest first. Directories without a record are left out.
    ///
    /// # Errors
    /// When the directory is there and cannot be read.
    pub fn list(&self) -> Result<Vec<PastRun>> {
        let mut runs: Vec<PastRun> = self.directories()?.filter_map(|path| PastRun::open(&path).ok()).collect();
        runs.sort_by(|a, b| b.record.position().cmp(&a.record.position()));
        Ok(runs)
    }

    /// Their directories, in no particular order.
    fn directories(&self) -> Result<impl Iterator<Item = PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(file_error(error, &self.directory)),
        };
        let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        Ok(paths.filter(|path| !is_being_removed(path)))
    }

    /// The number of a run that begins now, or is resumed.
    ///
    /// # Errors
    /// As for [`list`](Self::list).
    pub(super) fn next_number(&self) -> Result<u64> {
        let records = self.directories()?.filter_map(|path| read_json::<RunRecord>(&path.join(RECORD)).ok());
        Ok(records.map(|record| record.number.max(record.resumed_as)).max().unwrap_or_default() + 1)
    }

    /// The run of that id or of the only id that begins so; without one, the latest.
    ///
    /// # Errors
    /// No run, or several that begin so.
    pub fn find(&self, id: Option<&str>) -> Result<PastRun> {
        let runs = self.list()?;
        let Some(id) = id else {
            return runs.into_iter().next().ok_or_else(|| self.none());
        };
        let similar = nearest(id, runs.iter().map(|run| run.record.run_id.as_str())).map(str::to_owned);
        let mut matching = runs.into_iter().filter(|run| run.record.run_id.starts_with(id));
        match (matching.next(), matching.next()) {
            (Some(run), None) => Ok(run),
            (Some(run), Some(_)) if run.record.run_id == id => Ok(run),
            (Some(run), Some(second)) => {
                let all: Vec<PastRun> = [run, second].into_iter().chain(matching).collect();
                let named: Vec<String> = all
                    .iter()
                    .take(MAX_NAMED)
                    .map(|run| format!("{} ({})", run.record.run_id, run.outcome().as_str()))
                    .collect();
                let more = if all.len() > MAX_NAMED { ", ..." } else { "" };
                Err(Error::validation(format!("several run ids start with `{id}`"))
                    .with_hint(format!("give more characters of the id: {}{more}", named.join(", "))))
            }
            (None, _) => Err(Error::validation(format!("there is no run `{id}`"))
                .with_context("directory", self.directory.display())
                .with_hint(match similar {
                    Some(similar) => format!("did you mean `{similar}`? `osiris runs list` shows all runs"),
                    None => "`osiris runs list` shows all runs".to_owned(),
                })),
        }
    }

    /// The run to go on with: the one of that id or of the only id that begins so, or the latest that failed of those
    /// that are the latest of their pipelines. With a `file` only its runs count. With `force` also one that a later
    /// run has overtaken.
    ///
    /// # Errors
    /// There is none, or it cannot be resumed: it is going on, ended well, was a dry run, has no tables, or a later run
    /// has written.
    pub fn resumable(&self, id: Option<&str>, file: Option<&Path>, force: bool) -> Result<PastRun> {
        let runs = self.list()?;
        let refused = |error: Error| error.with_code(Code::NotResumable);
        let check = |past: PastRun| resumable(&past, &runs, force).map_err(refused).map(|()| past);
        if let Some(id) = id {
            return check(self.find(Some(id))?);
        }
        let mut latest: BTreeMap<(&str, Option<&Path>), &PastRun> = BTreeMap::new();
        for run in runs.iter().filter(|run| !run.record.dry_run && file.is_none_or(|file| run.is_of(file))) {
            latest.entry((&run.record.pipeline, run.record.file.as_deref())).or_insert(run);
        }
        let mut failed: Vec<&PastRun> = latest.values().copied().filter(|run| run.outcome() != Outcome::Done).collect();
        failed.sort_by_key(|run| std::cmp::Reverse(run.record.position()));
        let mut checked = failed.into_iter().map(|run| check(run.clone()));
        match checked.next() {
            Some(Ok(run)) => Ok(run),
            Some(Err(error)) => checked.find_map(Result::ok).ok_or(error),
            None => Err(self.nothing_to_resume(file, latest.values().next().copied())),
        }
    }

    fn nothing_to_resume(&self, file: Option<&Path>, latest: Option<&PastRun>) -> Error {
        let error = match (file, latest) {
            (Some(file), Some(run)) => Error::validation(format!(
                "there is no failed run of {} to resume: its latest run, {}, succeeded",
                file.display(),
                run.record.run_id
            )),
            (Some(file), None) => Error::validation(format!("there is no run of {} to resume", file.display())),
            (None, _) => Error::validation("there is no failed run to resume"),
        };
        error
            .with_code(Code::NotResumable)
            .with_context("directory", self.directory.display())
            .with_hint("`osiris runs list` shows all runs")
    }

    fn none(&self) -> Error {
        Error::validation("there are no runs yet")
            .with_context("directory", self.directory.display())
            .with_hint("`osiris run FILE` starts one")
    }
}

/// Whether a run can be resumed, given all `runs`.
pub(super) fn resumable(past: &PastRun, runs: &[PastRun], force: bool) -> Result<()> {
    let (id, record) = (&past.record.run_id, &past.record);
    match past.outcome() {
        Outcome::Done => {
            return Err(Error::validation(format!("run {id} succeeded: there is nothing to resume")));
        }
        Outcome::Running => return Err(Error::validation(format!("run {id} is still running"))),
        _ => {}
    }
    if record.dry_run {
        return Err(
            Error::validation(format!("run {id} was a dry run")).with_hint("run the pipeline without `--dry-run`")
        );
    }
    if !past.has_store() {
        return Err(Error::validation(format!("run {id} kept no tables: it cannot be resumed")).with_hint(
            "run the pipeline again from the start; with `--store file`, the default, a failed run can be resumed",
        ));
    }
    match runs.iter().find(|other| overtakes(other, past)) {
        Some(other) if !force => Err(Error::validation(format!(
            "run {id} is obsolete: run {} of pipeline `{}` has {} since",
            other.record.run_id,
            record.pipeline,
            if other.outcome() == Outcome::Done { "succeeded" } else { "written" },
        ))
        .with_hint("run the pipeline from the start; `--force` resumes it anyway, which may write rows twice")),
        _ => Ok(()),
    }
}

/// Whether `other` has made the rows of `past` out of date, or has written them.
fn overtakes(other: &PastRun, past: &PastRun) -> bool {
    let (its, own) = (&other.record, &past.record);
    if its.run_id == own.run_id || its.pipeline != own.pipeline || its.dry_run {
        return false;
    }
    match other.outcome() {
        // It may have begun earlier, and have been resumed in between.
        Outcome::Done => its.is_newer_than(own, its.finished_at.unwrap_or(its.started_at)),
        _ => its.is_newer_than(own, its.started_at) && other.has_written(),
    }
}

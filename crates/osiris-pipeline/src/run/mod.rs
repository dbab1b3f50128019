//! Running a plan: the run directory, the store, the steps in their order, the ledger at the end.
//!
//! Nothing here knows a component. What one step does is the driver's; what a run guarantees its user (the ledger,
//! state that is saved last, a directory with all records, resuming after a failure) is here.

mod clean;
mod commits;
mod confirmation;
mod database;
mod direct;
mod directory;
mod history;
mod ledger;
mod notice;
mod outcome;
mod past;
mod read;
mod rejects;
mod repeat;
mod report;
mod reuse;
mod root;
mod saved_states;
mod schedule;
mod source;
mod state;
mod state_files;
mod step_task;
mod suggest;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use osiris_core::lock::Holder;
use osiris_core::store::default_memory_limit;
use osiris_core::telemetry::{event, metric};
use osiris_core::{
    Code, CommitLimits, Error, Progress, Result, Role, RunContext, Store, StoreKind, StoreOptions, Telemetry, Unit,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub use clean::{CleanOptions, Cleaned, CleanedRun};
pub use confirmation::Confirmation;
pub use history::{AttemptEnd, RunHistory, StepAttempt, StepHistory};
pub use ledger::{Ledger, LedgerStep, StepColumn};
pub use notice::{failure_notice, refusal_notice, unplanned_notice};
pub use outcome::Outcome;
pub use past::{PastRun, RunRecord, Runs};
pub use read::{ReadTable, read};
pub use report::{RunReport, StepReport, StepStatus};
pub use saved_states::{SavedStates, StepState};
pub use state::{StateGeneration, Wait};

use crate::{Plan, PlannedStep};
use commits::CommitFile;
use directory::RunDirectory;
use schedule::{Finished, Scheduler, unrecorded};

/// Where the tables of a run live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoreChoice {
    /// In a file of the run directory: a failed run can be resumed.
    #[default]
    File,
    /// In memory, spilling to disk beyond the limit: faster, but a failed run cannot be resumed.
    Memory,
}

/// How to run a plan.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The directory of runs and state: `.osiris` in the project's directory.
    pub root: PathBuf,
    /// How many steps may run in parallel. Default: 4.
    pub jobs: usize,
    /// Memory for the run's tables, in bytes. Default: 60% of the machine's or the cgroup's.
    pub memory_limit: u64,
    /// Threads of the run store. Default: one for every core.
    pub threads: Option<usize>,
    /// Where the tables live.
    pub store: StoreChoice,
    /// Whether to keep the store of a run that succeeded.
    pub keep: bool,
    /// Whether to wait while another process runs the same pipeline. Default: it does not.
    pub wait: Wait,
    /// Who runs it, for messages to others who want to run the pipeline. Default: only process and machine are named.
    pub user: Option<String>,
    /// Ends the run when cancelled: running steps are rolled back, a commit that has begun is waited for.
    pub cancel: CancellationToken,
    /// How long that may take.
    pub commit_limits: CommitLimits,
    /// Whether a step runs again although an earlier run, which failed, has written its rows already or may have.
    pub force: bool,
    /// The steps of the resumed run whose outcome is unknown, and whose rows the user has found in their destinations:
    /// they count as done.
    pub assume_written: Vec<String>,
}

impl RunOptions {
    /// The defaults, with runs and state below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            jobs: 4,
            memory_limit: default_memory_limit(),
            threads: None,
            store: StoreChoice::File,
            keep: false,
            wait: Wait::No,
            user: None,
            cancel: CancellationToken::new(),
            commit_limits: CommitLimits::default(),
            force: false,
            assume_written: Vec::new(),
        }
    }
}

/// Observes a running run: for progress on a terminal.
pub trait Observer: Send + Sync {
    /// The run waits before it begins, and for what.
    fn waiting(&self, for_what: &str) {
        let _ = for_what;
    }

    /// The run has its id and directory.
    fn run_started(&self, run_id: &str, directory: &std::path::Path) {
        let _ = (run_id, directory);
    }

    /// A step begins; `progress` advances while it runs.
    fn step_started(&self, step: &PlannedStep, progress: Arc<Progress>) {
        let _ = (step, progress);
    }

    /// A step ended, was reused from the resumed run, or was never started.
    fn step_finished(&self, report: &StepReport) {
        let _ = report;
    }
}

/// An observer that does nothing.
pub struct Silent;

impl Observer for Silent {}

/// Runs `plan`. With `resume`, continues in the directory of a failed run: steps whose tables are committed there, and
/// that have not changed since, are not run again.
///
/// # Errors
/// When the run cannot start: no directory, no store, another process in it, or an earlier run that may have written
/// the same rows. The results of the steps are in the report.
pub async fn run(
    plan: &Plan,
    options: &RunOptions,
    resume: Option<&PastRun>,
    observer: &dyn Observer,
) -> Result<RunReport> {
    run_then(plan, options, resume, observer, |_| ready(Ok(()))).await
}

/// The same, and where the run ends well `then` gets the store before it is closed.
async fn run_then<F: Future<Output = Result<()>>>(
    plan: &Plan,
    options: &RunOptions,
    resume: Option<&PastRun>,
    observer: &dyn Observer,
    then: impl FnOnce(Store) -> F,
) -> Result<RunReport> {
    let started = Instant::now();
    if plan.is_outline() {
        return Err(Error::validation("the tables of a group have not been found")
            .with_hint("plan the pipeline with `Project::plan_tables`, which asks the source for them"));
    }
    root::prepare(&options.root)?;
    let states = state::States::new(&options.root, plan.name());
    let holder = Holder { user: options.user.clone(), ..Holder::this_process() };
    // A dry run changes nothing that another run could see.
    let lock = match plan.is_dry_run() {
        true => None,
        false => Some(states.lock(&holder, options.wait, &options.cancel, observer).await?),
    };
    source::check(plan, &states, &options.root)?;
    if resume.is_none() && !options.assume_written.is_empty() {
        return Err(Error::validation(
            "`--assume-written` needs `--resume`: only the write of a resumed run can be confirmed",
        )
        .with_hint("name the run to resume, or remove `--assume-written`"));
    }
    if resume.is_none() && !plan.is_dry_run() && !options.force {
        repeat::refuse(&Runs::below(&options.root), plan)?;
    }
    let directory = match resume {
        Some(past) => {
            let began_with = match options.force {
                true => states.generations(extractors(plan))?,
                false => unchanged_states(&states, past)?,
            };
            RunDirectory::reopen(&options.root, past, plan, began_with)?
        }
        None => RunDirectory::create(&options.root, plan, states.generations(extractors(plan))?)?,
    };
    if let Some(lock) = &lock {
        lock.name(holder, directory.id());
    }
    observer.run_started(directory.id(), directory.path());
    let telemetry = Telemetry::to_directory(directory.path(), directory.id(), plan.redactor().clone())?;
    telemetry.log_event(event::RUN_START, json!({"pipeline": plan.name(), "resumed": resume.is_some()}));
    log_connections(plan, &telemetry);
    let store = open_store(plan, options, &directory)?;
    let commits = Arc::new(CommitFile::open(directory.path())?);
    let context = RunContext::new(store, telemetry.clone(), directory.artifacts(), options.cancel.clone())
        .with_commit_log(Arc::clone(&commits) as _)
        .with_commit_limits(options.commit_limits)
        .with_state_files(directory.state_files(), states.files());
    let scheduler = Scheduler::new(plan, &context, &directory, &commits, &states, observer, options).since(started);
    let finished = match scheduler.run(resume).await {
        Ok(finished) => finished,
        Err(refusal) => return Err(give_back(refusal, resume, &directory, &telemetry)),
    };
    context.store().settle().await;
    let ledger = Ledger::of(directory.id(), plan.name(), &finished.steps, plan.is_dry_run());
    let (outcome, problems) = close(&finished, &ledger, plan, options, &directory, &states);
    log_end(&telemetry, outcome, &finished, &problems, started.elapsed());
    let looked = if outcome == Outcome::Done { then(context.store().clone()).await } else { Ok(()) };
    drop(context);
    let mut warnings = Vec::new();
    if let Err(error) = directory.clean(outcome == Outcome::Done && !options.keep) {
        warnings.push(format!("files that are no longer needed could not be removed: {}", error.report()));
    }
    directory.tighten();
    looked.map(|()| RunReport {
        run_id: directory.id().to_owned(),
        directory: directory.path().to_path_buf(),
        outcome,
        steps: finished.steps,
        duration: started.elapsed(),
        problems,
        warnings,
    })
}

/// Saves the result of the run: its ledger, then its state, then its outcome. What cannot be written is a problem, not
/// an error: the steps have ended, and their results are still to be reported.
fn close(
    finished: &Finished,
    ledger: &Ledger,
    plan: &Plan,
    options: &RunOptions,
    directory: &RunDirectory,
    states: &state::States,
) -> (Outcome, Vec<String>) {
    let unbalanced = ledger.problems();
    let mut outcome = Outcome::of(&finished.steps, finished.error.as_ref(), &unbalanced, options.cancel.is_cancelled());
    let of_tables = finished.error.as_ref().map(Error::report);
    let mut problems = [Vec::from_iter(of_tables), finished.problems.clone(), unbalanced].concat();
    let failed = |problem: String, problems: &mut Vec<String>| {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    };
    if let Err(error) = directory.write_ledger(ledger) {
        failed(unrecorded(&error), &mut problems);
    }
    if outcome == Outcome::Done && !problems.is_empty() {
        outcome = Outcome::Failed;
    }
    let new_states = match outcome {
        _ if plan.is_dry_run() || !problems.is_empty() => BTreeMap::new(),
        Outcome::Done => states_of(&finished.steps, |_| true),
        // The tables of a group that have arrived are not read again because another one failed.
        _ => states_of(&finished.steps, |step| step.group.is_some() && has_arrived(step, &finished.steps)),
    };
    if let Err(error) = states.save(directory.id(), &new_states, &directory.states(), &directory.state_files()) {
        failed(format!("the state of the run could not be saved: {error}"), &mut problems);
        outcome = if outcome == Outcome::Done { Outcome::Failed } else { outcome };
    }
    if let Err(error) = directory.finish(outcome, ledger, &problems) {
        failed(unrecorded(&error), &mut problems);
        if outcome == Outcome::Done {
            outcome = Outcome::Failed;
            // The record may be in its place, and only not known to last: it must not say otherwise than the screen, or nothing
            // could be resumed and whoever runs the pipeline anew would write its rows twice.
            if let Err(error) = directory.finish(outcome, ledger, &problems) {
                tracing::warn!(error = %error.report(), "the record of the run could not be written");
            }
        }
    }
    (outcome, problems)
}

/// Restores a run that cannot be resumed to what it was.
fn give_back(refusal: Error, past: Option<&PastRun>, directory: &RunDirectory, telemetry: &Telemetry) -> Error {
    let fields = json!({"error": refusal.to_string(), "category": refusal.kind().category()});
    telemetry.log_event(event::RUN_FAILED, fields);
    let restored = past.map_or(Ok(()), |past| directory.restore(past.record()));
    if let Err(error) = restored.and_then(|()| directory.clean(false)) {
        tracing::warn!(error = %error.report(), "the run could not be left as it was");
    }
    refusal
}

fn extractors(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.steps().iter().filter(|step| step.driver.spec().role == Role::Extract).map(|step| step.id.as_str())
}

/// The new states of the steps that `chosen` chooses.
fn states_of(steps: &[StepReport], chosen: impl Fn(&StepReport) -> bool) -> BTreeMap<&str, &Value> {
    let chosen = steps.iter().filter(|step| chosen(step));
    chosen.filter_map(|step| Some((step.id.as_str(), step.state.as_ref()?))).collect()
}

/// Whether a step is done, and every step that waits for it, directly or not.
fn has_arrived(step: &StepReport, steps: &[StepReport]) -> bool {
    let (mut waiting, mut seen) = (vec![step], BTreeSet::new());
    while let Some(step) = waiting.pop() {
        if !step.status.is_done() {
            return false;
        }
        if seen.insert(step.id.as_str()) {
            waiting.extend(steps.iter().filter(|other| other.needs.contains(&step.id)));
        }
    }
    true
}

/// A resumed run saves the state that follows from the one it began with: that one must still be there.
fn unchanged_states(states: &state::States, past: &PastRun) -> Result<BTreeMap<String, StateGeneration>> {
    let changed = states.changed_since(&past.record().states, &past.record().run_id)?;
    if changed.is_empty() {
        return Ok(past.record().states.clone());
    }
    let steps: Vec<String> = changed.iter().map(|step| format!("`{step}`")).collect();
    Err(Error::validation(format!(
        "run {} cannot be resumed: the saved state of {} has changed since it began",
        past.record().run_id,
        steps.join(", ")
    ))
    .with_code(Code::NotResumable)
    .with_hint("start a new run, which begins with the state that is saved now; `--force` resumes this one anyway"))
}

fn open_store(plan: &Plan, options: &RunOptions, directory: &RunDirectory) -> Result<Store> {
    let kind = match options.store {
        StoreChoice::File => StoreKind::File(directory.store_file()),
        StoreChoice::Memory => StoreKind::Memory,
    };
    let mut store = StoreOptions::new(kind, directory.scratch())
        .with_memory_limit(options.memory_limit)
        .with_files(plan.files())
        .with_directories([directory.rejects()])
        .with_start(directory.started());
    if let Some(threads) = options.threads {
        store = store.with_threads(threads);
    }
    Store::open(&store).map_err(|error| {
        error.with_context("run", directory.path().display()).with_hint("is another process in this run?")
    })
}

fn log_connections(plan: &Plan, telemetry: &Telemetry) {
    for step in plan.steps() {
        let Some(reference) = step.connection().reference() else { continue };
        let fields = json!({"step_id": step.id, "family": reference.family(), "alias": reference.alias()});
        telemetry.log_event(event::CONNECTION_RESOLVED, fields);
    }
}

fn log_end(telemetry: &Telemetry, outcome: Outcome, finished: &Finished, problems: &[String], duration: Duration) {
    let steps = &finished.steps;
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let total_rows: u64 = steps.iter().map(|step| step.rows).sum();
    if let Some(bytes) = peak_memory() {
        telemetry.log_metric(metric::PEAK_MEMORY_BYTES, bytes, Unit::Bytes, json!({}));
    }
    match outcome {
        Outcome::Done => {
            telemetry.log_event(event::RUN_COMPLETE, json!({"total_rows": total_rows, "duration_ms": duration_ms}))
        }
        failed => {
            // A step that was stopped is not the cause.
            let of =
                |status| steps.iter().filter(move |step| step.status == status).find_map(|step| step.error.as_ref());
            let error = of(StepStatus::Ambiguous)
                .or_else(|| of(StepStatus::Failed))
                .or(finished.error.as_ref())
                .or_else(|| of(StepStatus::Cancelled));
            let text = error.map(ToString::to_string).or_else(|| problems.first().cloned());
            telemetry.log_event(
                event::RUN_FAILED,
                json!({
                    "error": text.unwrap_or_else(|| failed.as_str().to_owned()),
                    "category": error.map_or("unknown", |error| error.kind().category()),
                    "exit_code": failed.exit_code(),
                    "duration_ms": duration_ms,
                }),
            );
        }
    }
    telemetry.log_event(event::CLEANUP_COMPLETE, json!({"total_rows": total_rows, "duration_ms": duration_ms}));
}

/// The largest resident size of this process, as Linux reports it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

//! What a driver can use besides its step: the store, telemetry, progress, rejects, a directory for artifacts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock, Jitter, SystemClock};
use crate::commit::{Commit, CommitLimits, CommitLog, Intent, Phase};
use crate::state::StateFiles;
use crate::store::DirectEdge;
use crate::telemetry::{Unit, event};
use crate::{Error, NextTry, Progress, RejectTable, Result, RetryPolicy, Store, TableRef, TableSink, Telemetry};

/// The run as all its steps see it. Cheap to clone.
#[derive(Clone)]
pub struct RunContext {
    store: Store,
    telemetry: Telemetry,
    artifacts: Arc<PathBuf>,
    /// Where the files of states are: of this run, and of those before.
    state_files: Arc<(PathBuf, Option<PathBuf>)>,
    cancel: CancellationToken,
    commits: Option<Arc<dyn CommitLog>>,
    commit_limits: CommitLimits,
    clock: Arc<dyn Clock>,
    jitter: Jitter,
}

impl RunContext {
    /// A run over `store`; every step's artifacts go below `artifacts`.
    pub fn new(store: Store, telemetry: Telemetry, artifacts: impl Into<PathBuf>, cancel: CancellationToken) -> Self {
        let artifacts = artifacts.into();
        let state_files = Arc::new((artifacts.with_file_name("state"), None));
        Self {
            store,
            telemetry,
            artifacts: Arc::new(artifacts),
            state_files,
            cancel,
            commits: None,
            commit_limits: CommitLimits::default(),
            clock: Arc::new(SystemClock),
            jitter: clock::random(),
        }
    }

    /// The same with another clock: for the delays between attempts, and for the times in telemetry. Time limits do not
    /// use it: they run on the runtime's clock. Default: that of the operating system.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.telemetry.set_clock(Arc::clone(&clock));
        self.clock = clock;
        self
    }

    /// The same with another source of random numbers, which spread the delays. Default: that of the operating system.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same with a directory for the files of new states, and one for those of saved states; each step has a
    /// directory of its own in both. Default for both: a directory next to the artifacts.
    #[must_use]
    pub fn with_state_files(mut self, new: impl Into<PathBuf>, saved: impl Into<PathBuf>) -> Self {
        self.state_files = Arc::new((new.into(), Some(saved.into())));
        self
    }

    /// The same with a log that keeps the intents of its writers. Without one a crash leaves no trace of what was being
    /// committed.
    #[must_use]
    pub fn with_commit_log(mut self, log: Arc<dyn CommitLog>) -> Self {
        self.commits = Some(log);
        self
    }

    /// The same with other limits for writers that have begun to commit.
    #[must_use]
    pub fn with_commit_limits(mut self, limits: CommitLimits) -> Self {
        self.commit_limits = limits;
        self
    }

    /// The context of one step.
    pub fn step(&self, id: &str) -> ExecutionContext {
        self.step_with_progress(id, Arc::new(Progress::default()))
    }

    /// The same with the given counters, for an observer.
    pub fn step_with_progress(&self, id: &str, progress: Arc<Progress>) -> ExecutionContext {
        let rejects = RejectTable::new(self.store.clone(), self.telemetry.clone(), id);
        let step: Arc<str> = Arc::from(id);
        ExecutionContext {
            run: self.clone(),
            phase: self.phase(&step, 1, None),
            step,
            cancel: self.cancel.child_token(),
            progress,
            rejects,
            edge: None,
        }
    }

    fn phase(&self, step: &Arc<str>, attempt: u32, fingerprint: Option<&str>) -> Arc<Phase> {
        let fingerprint = fingerprint.map(str::to_owned);
        Phase::new(Arc::clone(step), attempt, fingerprint, self.commits.clone(), self.telemetry.clone())
    }

    /// The run's store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The run's events and metrics.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Ends the run when cancelled.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }
}

/// What one step works with. Small on purpose. Prose logging is plain `tracing`; a library crate never prints.
#[derive(Clone)]
pub struct ExecutionContext {
    run: RunContext,
    step: Arc<str>,
    cancel: CancellationToken,
    progress: Arc<Progress>,
    rejects: RejectTable,
    edge: Option<DirectEdge>,
    phase: Arc<Phase>,
}

impl ExecutionContext {
    /// The same for a step whose rows go over a direct edge instead of into a table. Its component must
    /// [say](crate::Component::streams) that it can do that.
    #[must_use]
    pub fn handing_over(mut self, edge: DirectEdge) -> Self {
        self.edge = Some(edge);
        self
    }

    /// The run's id, which telemetry has as its session.
    pub fn run_id(&self) -> &str {
        self.run.telemetry.session()
    }

    /// The step's id.
    pub fn step_id(&self) -> &str {
        &self.step
    }

    /// The run's store.
    pub fn store(&self) -> &Store {
        &self.run.store
    }

    /// Writes a metric with the step's tag; `tags` is an object with further ones, or null. The metrics that the
    /// contract requires are written by the core: a driver adds only its own [DRV-009, DRV-010].
    pub fn log_metric(&self, name: &str, value: impl Into<Value>, unit: Unit, tags: Value) {
        let mut all = json!({"step": &*self.step});
        if let (Value::Object(all), Value::Object(tags)) = (&mut all, tags) {
            all.extend(tags);
        }
        self.run.telemetry.log_metric(name, value, unit, all);
    }

    /// Writes an event with the step's id.
    pub fn log_event(&self, name: &str, fields: Value) {
        let mut all = json!({"step_id": &*self.step});
        if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
            all.extend(fields);
        }
        self.run.telemetry.log_event(name, all);
    }

    /// Records that the step made a file for people: `artifact_type` such as `ddl_plan`.
    pub fn log_artifact(&self, artifact_type: &str, path: &Path) {
        self.log_event(
            event::ARTIFACT_CREATED,
            json!({"artifact_type": artifact_type, "path": path.display().to_string()}),
        );
    }

    /// The time as the run sees it.
    pub fn clock(&self) -> &dyn Clock {
        &*self.run.clock
    }

    /// The step's counters, for progress bars.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The same as [`Store::call_over`] for the input of the step, whose counters advance while DuckDB works: with the
    /// rows that arrive, else as it estimates. The component adds what was done once it knows.
    ///
    /// # Errors
    /// What `work` returns.
    pub async fn call_over<T, F>(&self, input: &TableRef, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&duckdb::Connection) -> Result<T> + Send + 'static,
    {
        self.store().call_over_followed(input, &self.progress, work).await
    }

    /// The reject table of the step: rejected rows, with reason and column.
    pub fn rejects(&self) -> &RejectTable {
        &self.rejects
    }

    /// A directory of the step's own for files worth keeping; made on first use.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn artifacts_dir(&self) -> Result<PathBuf> {
        let directory = self.run.artifacts.join(crate::store::safe_name(&self.step));
        crate::private::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// The files of the step's state: for what is too large for the state itself.
    pub fn state_files(&self) -> StateFiles {
        let name = crate::store::safe_name(&self.step);
        let (new, saved) = &*self.run.state_files;
        StateFiles::new(new.join(&name), saved.as_ref().map(|saved| saved.join(&name)))
    }

    /// Writes a text for the user, such as the SQL that a step would run, to a file of the step, recorded as an
    /// artifact of this type. Returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_artifact(&self, artifact_type: &str, file: &str, text: &str) -> Result<PathBuf> {
        let path = self.artifacts_dir()?.join(file);
        crate::private::write(&path, text)?;
        self.log_artifact(artifact_type, &path);
        Ok(path)
    }

    /// Is cancelled when the step must end: Ctrl-C, or its time limit. Before [`begin_commit`](Self::begin_commit) a
    /// component need not check it, since core drops the future. Afterwards the future is not dropped: a statement or
    /// request that may commit must then be waited for, but a series of them may end between two.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Announces that what follows may change the destination permanently: called before the first statement or request
    /// that commits, once all checks have passed. The intent is durable when this returns. From here until the
    /// [`Commit`] is resolved, neither the step's time limit nor the first cancellation drops the future of the
    /// component; see [`commit`](crate::commit).
    ///
    /// # Errors
    /// The step is to stop, or the intent could not be recorded. The commit must not take place then, and the error is
    /// to be returned as it is.
    pub async fn begin_commit(&self, intent: Intent) -> Result<Commit> {
        if self.cancel.is_cancelled() {
            return Err(Error::cancelled("stopped before anything was committed"));
        }
        self.phase.begin(intent, self.rejects.len()).await
    }

    /// The same step for another attempt, with a cancellation and an outcome of its own.
    pub(crate) fn for_attempt(&self, attempt: u32, fingerprint: Option<&str>) -> Self {
        let phase = self.run.phase(&self.step, attempt, fingerprint);
        Self { cancel: self.cancel.child_token(), phase, ..self.clone() }
    }

    /// The same step for querying its destination, which is not cancelled with the step.
    pub(crate) fn for_asking(&self) -> Self {
        Self { cancel: CancellationToken::new(), ..self.clone() }
    }

    pub(crate) fn phase(&self) -> &Arc<Phase> {
        &self.phase
    }

    pub(crate) fn commit_limits(&self) -> CommitLimits {
        self.run.commit_limits
    }

    /// What follows attempt number `attempt`, which failed with `error`, `failing_for` after the first failure. Another
    /// attempt is announced and waited for; there is none once the step is cancelled.
    pub async fn wait_for_retry(
        &self,
        retry: &RetryPolicy,
        attempt: u32,
        failing_for: Duration,
        error: &Error,
    ) -> NextTry {
        let next = retry.next_try(attempt, failing_for, error, (self.run.jitter)());
        let NextTry::After(delay) = next else { return next };
        let (following, most) = (attempt + 1, retry.max_attempts.max(attempt + 1));
        self.log_event(
            event::STEP_RETRY_ATTEMPT,
            json!({
                "attempt": following,
                "max_attempts": most,
                "delay_ms": u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                "category": error.kind().category(),
                "error": error.report(),
            }),
        );
        // A patient policy goes on after the last of its attempts: their number would not be true.
        let of_how_many = if retry.patience.is_zero() { format!(" of {most}") } else { String::new() };
        tracing::warn!(
            "retrying `{}` in {:.1} s (attempt {following}{of_how_many}): {}",
            self.step_id(),
            delay.as_secs_f64(),
            self.telemetry().redactor().scrub(error.message())
        );
        tokio::select! {
            () = self.cancel().cancelled() => NextTry::Never,
            () = self.clock().sleep(delay) => next,
        }
    }

    /// The error of an attempt after which none follows. Where another one might have followed and the step was cancelled, that is why
    /// it ends.
    #[must_use]
    pub fn without_retry(&self, error: Error) -> Error {
        if self.cancel.is_cancelled() && error.is_retryable() {
            Error::cancelled("cancelled before the step was tried again").with_source(error)
        } else {
            error
        }
    }

    /// The sink of the step's rows, which advances the step's counters.
    pub(crate) async fn sink(&self) -> Result<TableSink> {
        let progress = Arc::clone(&self.progress);
        match &self.edge {
            None => self.store().sink_with_progress(&self.step, progress).await,
            Some(edge) => Ok(self.store().direct_sink_with_progress(edge.clone(), &self.step, progress)),
        }
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.run.telemetry
    }
}

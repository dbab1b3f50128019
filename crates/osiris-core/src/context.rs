//! What a driver gets to work with besides its step: the store, telemetry, progress, rejects, a place for artifacts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::store::DirectEdge;
use crate::telemetry::{Unit, event};
use crate::{Progress, RejectTable, Result, Store, TableSink, Telemetry};

/// The run as all its steps see it. Cheap to clone.
#[derive(Clone)]
pub struct RunContext {
    store: Store,
    telemetry: Telemetry,
    artifacts: Arc<PathBuf>,
    cancel: CancellationToken,
}

impl RunContext {
    /// A run over `store`; every step's artifacts go below `artifacts`.
    pub fn new(store: Store, telemetry: Telemetry, artifacts: impl Into<PathBuf>, cancel: CancellationToken) -> Self {
        Self { store, telemetry, artifacts: Arc::new(artifacts.into()), cancel }
    }

    /// The context of one step.
    pub fn step(&self, id: &str) -> ExecutionContext {
        self.step_with_progress(id, Arc::new(Progress::default()))
    }

    /// The same with counters that somebody watches.
    pub fn step_with_progress(&self, id: &str, progress: Arc<Progress>) -> ExecutionContext {
        let rejects = RejectTable::new(self.store.clone(), id);
        ExecutionContext {
            run: self.clone(),
            step: Arc::from(id),
            cancel: self.cancel.child_token(),
            progress,
            rejects,
            edge: None,
        }
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
}

impl ExecutionContext {
    /// The same for a step whose rows go over a direct edge instead of into a table. Its component must
    /// [say](crate::Component::streams) that it can do that.
    #[must_use]
    pub fn handing_over(mut self, edge: DirectEdge) -> Self {
        self.edge = Some(edge);
        self
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

    /// The step's counters, for progress bars.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where refused rows go, with reason and column.
    pub fn rejects(&self) -> &RejectTable {
        &self.rejects
    }

    /// A directory of the step's own for files worth keeping; made on first use.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn artifacts_dir(&self) -> Result<PathBuf> {
        let directory = self.run.artifacts.join(crate::store::safe_name(&self.step));
        std::fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// Is cancelled when the step must end: Ctrl-C, a timeout, another step's failure.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
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

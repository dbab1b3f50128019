//! One step on a bench: built up field by field, then run through the driver as a runner would.

use std::sync::Arc;
use std::time::Duration;

use osiris_core::state::SavedState;
use osiris_core::store::DirectEdge;
use osiris_core::{
    CommitLog, Error, ExecutionContext, Inputs, PreparedStep, Progress, Result, RetryPolicy, StepFailure, StepOutput,
    StepRequest, TableRef,
};
use serde_json::Value;

use crate::Bench;

/// A step about to run. Three attempts with hardly a delay between them, unless told otherwise.
#[must_use = "a step runs when `run` is awaited"]
pub struct BenchStep<'a> {
    bench: &'a Bench,
    component: String,
    config: Value,
    connection: Value,
    inputs: Inputs,
    progress: Arc<Progress>,
    request: StepRequest,
    edge: Option<DirectEdge>,
    commits: Option<Arc<dyn CommitLog>>,
}

impl<'a> BenchStep<'a> {
    pub(crate) fn new(bench: &'a Bench, id: String, component: String, config: Value) -> Self {
        let retry = RetryPolicy { initial_delay: Duration::from_millis(1), ..RetryPolicy::times(3) };
        let request = StepRequest { retry, ..StepRequest::new(id) };
        Self {
            bench,
            component,
            config,
            connection: Value::Null,
            inputs: Inputs::none(),
            progress: Arc::default(),
            request,
            edge: None,
            commits: None,
        }
    }

    /// The fields of its connection. Default: none.
    pub fn connection(mut self, fields: Value) -> Self {
        self.connection = fields;
        self
    }

    /// One more input.
    pub fn input(mut self, table: &TableRef) -> Self {
        self.inputs.insert(None, table.clone());
        self
    }

    /// All its inputs.
    pub fn inputs(mut self, inputs: &Inputs) -> Self {
        self.inputs = inputs.clone();
        self
    }

    /// Which of several inputs to take.
    pub fn input_step(mut self, step: &str) -> Self {
        self.request.input_step = Some(step.to_owned());
        self
    }

    /// The state that the last run left.
    pub fn state(mut self, state: Value) -> Self {
        self.request.state = Some(state);
        self
    }

    /// The state that the last run left, without the source that it is of: taken for the one that the step reads.
    ///
    /// # Errors
    /// When the component is not registered, or its configuration or connection is not valid.
    pub fn own_state(mut self, state: Value) -> Result<Self> {
        let step = self.bench.prepare(&self.component, &self.config, &self.connection)?.into_step()?;
        let redactor = self.bench.run_context().telemetry().redactor();
        let source = step.source(&self.request.origin, &redactor);
        self.request.state = Some(SavedState::new(source, state).to_value()?);
        Ok(self)
    }

    /// Check everything, change nothing.
    pub fn dry_run(mut self) -> Self {
        self.request.dry_run = true;
        self
    }

    /// When to try again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.request.retry = retry;
        self
    }

    /// How long an attempt may take.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.request.timeout = Some(limit);
        self
    }

    /// Counters to watch the step by.
    pub fn progress(mut self, progress: &Arc<Progress>) -> Self {
        self.progress = Arc::clone(progress);
        self
    }

    /// An edge that its rows go over instead of into a table.
    pub fn handing_over(mut self, edge: DirectEdge) -> Self {
        self.edge = Some(edge);
        self
    }

    /// Where its intents are recorded. Default: nowhere.
    pub fn commit_log(mut self, log: Arc<dyn CommitLog>) -> Self {
        self.commits = Some(log);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What the step ended in.
    ///
    /// # Panics
    /// When a line of telemetry does not fit the published schemas: no test of a component should pass over that.
    pub async fn run(self) -> Result<StepOutput, StepFailure> {
        let bench = self.bench;
        let outcome = self.run_unchecked().await;
        let violations = bench.telemetry_violations();
        assert!(violations.is_empty(), "telemetry does not fit its schemas:\n{}", violations.join("\n"));
        outcome
    }

    /// What a runner would run, and how.
    ///
    /// # Errors
    /// When there is no such component, or its configuration or connection is not valid.
    pub fn prepare(self) -> Result<(Arc<dyn PreparedStep>, StepRequest)> {
        let prepared = self.bench.prepare(&self.component, &self.config, &self.connection)?;
        Ok((prepared.into_step()?, self.request))
    }

    /// The same without the check of telemetry, for rules that report it themselves.
    pub(crate) async fn run_unchecked(self) -> Result<StepOutput, StepFailure> {
        let failed = |error: Error| StepFailure {
            error: error.with_step(&self.request.step_id),
            counts: Default::default(),
            duration: Duration::ZERO,
            attempts: 0,
            waited: Duration::ZERO,
            may_have_written: false,
        };
        let prepared = self.bench.prepare(&self.component, &self.config, &self.connection).map_err(failed)?;
        let step = prepared.into_step().map_err(failed)?;
        let mut run = self.bench.run_context().clone();
        if let Some(log) = self.commits {
            run = run.with_commit_log(log);
        }
        let context: ExecutionContext = run.step_with_progress(&self.request.step_id, Arc::clone(&self.progress));
        let context = match self.edge {
            Some(edge) => context.handing_over(edge),
            None => context,
        };
        step.run(&self.request, &self.inputs, &context).await
    }
}

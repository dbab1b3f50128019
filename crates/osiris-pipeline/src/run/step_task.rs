//! A step that is ready to run, and its result.

use std::sync::Arc;
use std::time::{Duration, Instant};

use osiris_core::{
    Error, ExecutionContext, Inputs, NextTry, PreparedStep, Result, Role, StepCounts, StepFailure, StepOutput,
    StepRequest,
};

/// What running a step needs besides its inputs.
pub(super) struct StepTask {
    pub(super) index: usize,
    pub(super) role: Role,
    pub(super) step: Arc<dyn PreparedStep>,
    pub(super) request: StepRequest,
    pub(super) ctx: ExecutionContext,
}

/// When a step began, and its result.
pub(super) struct TaskRun {
    pub(super) begun: Instant,
    pub(super) result: Result<StepOutput, StepFailure>,
}

impl TaskRun {
    /// How often it was tried in the run, and how long was waited between the attempts.
    pub(super) fn attempts(&self) -> (u32, Duration) {
        match &self.result {
            Ok(output) => (output.attempts, output.waited),
            Err(failure) => (failure.attempts, failure.waited),
        }
    }

    /// Counts it as the last of several runs, of which the first one began then.
    pub(super) fn count_from(&mut self, begun: Instant) {
        let duration = match &mut self.result {
            Ok(output) => &mut output.duration,
            Err(failure) => &mut failure.duration,
        };
        (self.begun, *duration) = (begun, begun.elapsed());
    }
}

/// A task that has ended.
pub(super) struct FinishedTask {
    pub(super) index: usize,
    pub(super) ctx: ExecutionContext,
    pub(super) run: TaskRun,
}

impl StepTask {
    /// Runs it.
    pub(super) async fn run(&self, inputs: &Inputs) -> TaskRun {
        let begun = Instant::now();
        TaskRun { begun, result: self.step.run(&self.request, inputs, &self.ctx).await }
    }

    /// Waits for another attempt after number `attempt`, as `retry` says, and returns how long. `None` if there is to be
    /// none.
    pub(super) async fn wait_for_retry(&self, attempt: u32, failing_for: Duration, error: &Error) -> Option<Duration> {
        match self.ctx.wait_for_retry(&self.request.retry, attempt, failing_for, error).await {
            NextTry::After(delay) => Some(delay),
            NextTry::Never | NextTry::TooFarAway(_) => None,
        }
    }

    /// The last of its runs: see [`ExecutionContext::without_retry`].
    pub(super) fn without_retry(&self, run: TaskRun) -> TaskRun {
        let result = run.result.map_err(|failure| {
            let error = self.ctx.without_retry(failure.error).with_step(self.ctx.step_id());
            StepFailure { error, ..failure }
        });
        TaskRun { result, ..run }
    }

    /// The failed run of a step that could not be started.
    pub(super) fn not_started(&self, error: Error) -> TaskRun {
        let error = error.with_step(self.ctx.step_id());
        let failure = StepFailure {
            error,
            counts: StepCounts::default(),
            duration: Default::default(),
            attempts: 0,
            waited: Duration::ZERO,
            may_have_written: false,
        };
        TaskRun { begun: Instant::now(), result: Err(failure) }
    }

    pub(super) fn finish(self, run: TaskRun) -> FinishedTask {
        FinishedTask { index: self.index, ctx: self.ctx, run }
    }
}

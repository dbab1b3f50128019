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
    pub(super) fn attempts(&self) -> u32 {
        match &self.result {
            Ok(output) => output.attempts,
            Err(failure) => failure.attempts,
        }
    }

    /// Counts this run as the last of so many attempts.
    pub(super) fn count_all(&mut self, attempts: u32) {
        let (counted, duration) = match &mut self.result {
            Ok(output) => (&mut output.attempts, &mut output.duration),
            Err(failure) => (&mut failure.attempts, &mut failure.duration),
        };
        (*counted, *duration) = (attempts, self.begun.elapsed());
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

    /// Waits for another attempt after number `attempt`, as `retry` says. False if there is to be none.
    pub(super) async fn tries_again(&self, attempt: u32, failing_for: Duration, error: &Error) -> bool {
        let next = self.ctx.wait_for_retry(&self.request.retry, attempt, failing_for, error).await;
        matches!(next, NextTry::After(_))
    }

    /// The failed run of a step that could not be started.
    pub(super) fn not_started(&self, error: Error) -> TaskRun {
        let error = error.with_step(self.ctx.step_id());
        let failure = StepFailure {
            error,
            counts: StepCounts::default(),
            duration: Default::default(),
            attempts: 0,
            may_have_written: false,
        };
        TaskRun { begun: Instant::now(), result: Err(failure) }
    }

    pub(super) fn finish(self, run: TaskRun) -> FinishedTask {
        FinishedTask { index: self.index, ctx: self.ctx, run }
    }
}

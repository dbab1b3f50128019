//! One step, ready to run.

use std::sync::Arc;
use std::time::Instant;

use osiris_core::{
    Error, ExecutionContext, Inputs, PreparedStep, Result, Role, StepCounts, StepFailure, StepOutput, StepRequest,
};

/// What running a step needs besides its inputs.
pub(super) struct Job {
    pub(super) index: usize,
    pub(super) role: Role,
    pub(super) step: Arc<dyn PreparedStep>,
    pub(super) request: StepRequest,
    pub(super) ctx: ExecutionContext,
}

/// When a step began, and what became of it.
pub(super) struct Ran {
    pub(super) begun: Instant,
    pub(super) result: Result<StepOutput, StepFailure>,
}

impl Ran {
    /// Counts this run of a driver as the last of so many attempts.
    pub(super) fn count_all(&mut self, attempts: u32) {
        let (counted, duration) = match &mut self.result {
            Ok(output) => (&mut output.attempts, &mut output.duration),
            Err(failure) => (&mut failure.attempts, &mut failure.duration),
        };
        (*counted, *duration) = (attempts, self.begun.elapsed());
    }
}

/// A job that is over.
pub(super) struct Ended {
    pub(super) index: usize,
    pub(super) ctx: ExecutionContext,
    pub(super) ran: Ran,
}

impl Job {
    /// Runs it.
    pub(super) async fn run(&self, inputs: &Inputs) -> Ran {
        let begun = Instant::now();
        Ran { begun, result: self.step.run(&self.request, inputs, &self.ctx).await }
    }

    /// What there is to say of it when it could not even begin.
    pub(super) fn refused(&self, error: Error) -> Ran {
        let error = error.with_step(self.ctx.step_id());
        let failure = StepFailure {
            error,
            counts: StepCounts::default(),
            duration: Default::default(),
            attempts: 0,
            may_have_written: false,
        };
        Ran { begun: Instant::now(), result: Err(failure) }
    }

    pub(super) fn ended(self, ran: Ran) -> Ended {
        Ended { index: self.index, ctx: self.ctx, ran }
    }
}

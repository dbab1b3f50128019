//! The loop of attempts around a component: timeout, cancellation, the outcome of commits, and retries.

use std::time::{Duration, Instant};

use serde_json::json;

use super::StepRequest;
use super::attempt::Attempted;
use super::settle::{Ask, caught, settled};
use super::step::TypedStep;
use crate::commit::{CommitOutcome, Intent};
use crate::telemetry::event;
use crate::{Code, Component, Error, ErrorKind, ExecutionContext, Inputs, NextTry, Result, Step, TableRef};

/// The last of some attempts, and what it took to get there.
pub(super) struct LastAttempt {
    pub(super) attempted: Attempted,
    /// Its number among them, from 1.
    pub(super) number: u32,
    /// How long it took by itself.
    pub(super) took: Duration,
    /// How long it was waited for between the attempts.
    pub(super) waited: Duration,
}

impl LastAttempt {
    /// A first attempt that failed before it began.
    pub(super) fn failed(error: Error) -> Self {
        Self { attempted: Attempted::failed(error), number: 1, took: Duration::ZERO, waited: Duration::ZERO }
    }
}

impl<C: Component> TypedStep<C> {
    /// One attempt: stopped by its timeout or by cancellation, whose errors say which. A writer that has begun to
    /// commit is waited for.
    async fn attempt(
        &self,
        step: &Step<'_, C>,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Attempted {
        let limit = async {
            match request.timeout {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let run = caught((self.runner.run)(&self.runner.component, step, inputs, ctx));
        tokio::pin!(run);
        let stopped = tokio::select! {
            biased;
            // A result that is ready counts, even if the limit has passed as well.
            attempted = &mut run => return attempted.unwrap_or_else(Attempted::failed),
            () = ctx.cancel().cancelled() => Error::cancelled("cancelled before the step finished"),
            () = limit => {
                let seconds = request.timeout.unwrap_or_default().as_secs_f64();
                Error::timeout(format!("step timed out after {seconds} s"))
                    .with_code(Code::StepTimedOut)
                    .with_hint("raise `timeout: {step_ms: ...}` of the step, or split the step")
            }
        };
        if !ctx.phase().close() {
            return Attempted::failed(stopped);
        }
        ctx.cancel().cancel();
        let Some(attempted) = ctx.phase().wait_for(run, ctx.commit_limits()).await else {
            return Attempted::failed(stopped);
        };
        let Attempted { counts, result, .. } = attempted.unwrap_or_else(Attempted::failed);
        Attempted::new(
            counts,
            result.map_err(|error| match (stopped.kind(), error.kind()) {
                // The component saw a cancellation; why there was one is known here.
                (ErrorKind::Timeout, ErrorKind::Cancelled) => stopped.with_source(error),
                _ => error,
            }),
        )
    }

    /// One attempt. If the outcome of a commit is unknown afterwards, the component is asked for it.
    async fn settled_attempt(
        &self,
        step: &Step<'_, C>,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> Attempted {
        let attempted = self.attempt(step, request, inputs, ctx).await;
        let input = inputs.single(step.input_step()).ok();
        let ask: &Ask<'_> = &|intent| {
            let asking = ctx.for_asking();
            Box::pin(async move { self.ask(step, &intent, input, &asking).await })
        };
        let mut attempted = settled(attempted, ctx, ask).await;
        attempted.counts.rejected = ctx.rejects().len();
        attempted
    }

    /// Asks the component for the outcome of a commit, within the time limit for that.
    pub(super) async fn ask(
        &self,
        step: &Step<'_, C>,
        intent: &Intent,
        input: Option<&TableRef>,
        ctx: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        let Some(outcome) = self.runner.outcome else { return Ok(CommitOutcome::Unknown) };
        // Streamed rows cannot be read again, and a file that was changed has others.
        let input = input.filter(|input| !input.is_arriving() && input.ensure_unchanged().is_ok());
        let limit = ctx.commit_limits().asking;
        let asked =
            tokio::time::timeout(limit, caught(outcome(&self.runner.component, step, intent, input, ctx))).await;
        let outcome = asked.unwrap_or_else(|_| {
            Err(Error::timeout(format!(
                "the destination did not report the outcome of the write within {} s",
                limit.as_secs()
            )))
        });
        let outcome = outcome.and_then(|outcome| outcome);
        let reported = match &outcome {
            Ok(CommitOutcome::Committed { .. }) => "committed",
            Ok(CommitOutcome::NotCommitted) => "not_committed",
            Ok(CommitOutcome::Unknown) | Err(_) => "unknown",
        };
        ctx.log_event(event::COMMIT_ASKED, json!({"destination": intent.destination(), "outcome": reported}));
        outcome
    }

    pub(super) async fn attempts(
        &self,
        step: &Step<'_, C>,
        request: &StepRequest,
        inputs: &Inputs,
        ctx: &ExecutionContext,
    ) -> LastAttempt {
        let (mut tried, mut waited) = (1, Duration::ZERO);
        let mut failing_since = None;
        loop {
            let begun = Instant::now();
            let last = |attempted| LastAttempt { attempted, number: tried, took: begun.elapsed(), waited };
            ctx.progress().reset();
            ctx.rejects().clear();
            let of_attempt = ctx.for_attempt(request.first_attempt + tried - 1, step.fingerprint);
            let last = last(self.settled_attempt(step, request, inputs, &of_attempt).await);
            let Err(error) = &last.attempted.result else { return last };
            if error.is_connection_failed() && C::SPEC.connection.is_needed() {
                ctx.log_event(
                    event::CONNECTION_FAILED,
                    json!({"category": error.kind().category(), "error": error.report()}),
                );
            }
            let now = ctx.clock().now();
            let failing_for = now.duration_since(*failing_since.get_or_insert(now));
            match ctx.wait_for_retry(&request.retry, tried, failing_for, error).await {
                NextTry::After(delay) => waited += delay,
                NextTry::Never => {
                    let result = last.attempted.result.map_err(|error| ctx.without_retry(error));
                    return LastAttempt { attempted: Attempted { result, ..last.attempted }, ..last };
                }
                NextTry::TooFarAway(wait) => {
                    let explained = |error| request.retry.explained(error, wait, ctx.clock().wall());
                    let attempted = Attempted { result: last.attempted.result.map_err(explained), ..last.attempted };
                    return LastAttempt { attempted, ..last };
                }
            }
            tried += 1;
        }
    }
}

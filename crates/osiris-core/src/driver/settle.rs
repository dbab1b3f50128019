//! The result of an attempt in view of its commits: whether it failed, and whether it may be repeated.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};

use super::attempt::{Attempted, balance};
use crate::commit::{CommitEnd, CommitOutcome, CommitRecord, Intent, Standing};
use crate::{Error, ErrorKind, ExecutionContext, Result, Role, StepCounts, Written};

/// Asks a destination for the outcome of a commit.
pub(super) type Ask<'a> =
    dyn Fn(Intent) -> Pin<Box<dyn Future<Output = Result<CommitOutcome>> + Send + 'a>> + Send + Sync + 'a;

/// Turns a panic of a component into an error of its step: what it had committed counts as after any other error.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(_) => Err(Error::unknown("the component panicked").with_hint("report this as a bug")).into(),
    })
    .await
}

/// Decides the result of an attempt that has ended by the state of its commits.
pub(super) async fn settled(attempted: Attempted, ctx: &ExecutionContext, ask: &Ask<'_>) -> Attempted {
    let Attempted { counts, result, .. } = attempted;
    let error = match result {
        Ok(done) => {
            ctx.phase().end_all(CommitEnd::Committed { written: None }).await;
            return Attempted::new(counts, Ok(done));
        }
        Err(error) => error,
    };
    match ctx.phase().standing() {
        Standing::Untouched | Standing::NotCommitted => Attempted::new(counts, Err(error)),
        Standing::Committed(written) => committed(counts, error, written, ctx),
        Standing::Unknown(_) if ctx.phase().is_repeatable() => repeatable(counts, error, ctx),
        Standing::Unknown(records) => unknown(counts, error, &records, ctx, ask).await,
    }
}

/// The rows are in the destination, and then something went wrong.
fn committed(counts: StepCounts, error: Error, written: Option<Written>, ctx: &ExecutionContext) -> Attempted {
    if counts.acknowledged() > 0 || error.kind() == ErrorKind::Integrity {
        // The ledger was being balanced.
        return failed_after_commit(counts, error, ctx);
    }
    match (written, ctx.phase().counts(written)) {
        // What remained to be done is not part of the write.
        (Some(_), Some(counts)) if is_about_time(&error) => match balance(&counts, Role::Write) {
            Ok(()) => {
                tracing::warn!(step = ctx.step_id(), error = %error.message(), "stopped after the rows were committed");
                Attempted::new(counts, Ok((None, None)))
            }
            Err(error) => failed_after_commit(counts, error, ctx),
        },
        _ => failed_after_commit(counts, error, ctx),
    }
}

fn is_about_time(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout | ErrorKind::Network)
}

fn failed_after_commit(counts: StepCounts, error: Error, ctx: &ExecutionContext) -> Attempted {
    let repeatable = ctx.phase().is_repeatable();
    let error = if repeatable || error.kind() == ErrorKind::Ambiguous {
        error
    } else {
        let place = destination(ctx);
        Error::ambiguous(format!("the rows were committed to {place}, but the step failed afterwards"))
            .with_source(error)
            .with_hint(format!("compare {place} with the input: running the step again would write the rows twice"))
    };
    Attempted { may_have_written: true, ..Attempted::new(counts, Err(error)) }
}

/// The outcome is unknown, but the write may be repeated.
fn repeatable(counts: StepCounts, error: Error, ctx: &ExecutionContext) -> Attempted {
    let error = match error.kind() {
        ErrorKind::Ambiguous => Error::network(error.message().to_owned())
            .with_hint("run it again: the write can be repeated safely")
            .with_source(error),
        ErrorKind::Cancelled => Error::cancelled(format!(
            "cancelled while writing to {}: the rows may be there, but the write can be repeated safely",
            destination(ctx)
        )),
        _ => error,
    };
    Attempted { may_have_written: true, ..Attempted::new(counts, Err(error)) }
}

async fn unknown(
    counts: StepCounts,
    error: Error,
    records: &[std::sync::Arc<CommitRecord>],
    ctx: &ExecutionContext,
    ask: &Ask<'_>,
) -> Attempted {
    for record in records {
        let end = match ask(record.intent.clone()).await {
            Ok(CommitOutcome::Committed { written }) => CommitEnd::Committed { written },
            Ok(CommitOutcome::NotCommitted) => CommitEnd::NotCommitted,
            Ok(CommitOutcome::Unknown) => return ambiguous(counts, error, &record.intent),
            Err(question) => {
                tracing::warn!(step = ctx.step_id(), error = %question.report(), "could not query the outcome of the commit");
                return ambiguous(counts, error, &record.intent);
            }
        };
        ctx.phase().end_number(record.number, end).await;
    }
    match ctx.phase().standing() {
        Standing::Committed(written) => known_late(error, written, ctx),
        _ => {
            let error = if error.kind() == ErrorKind::Ambiguous { lost(error) } else { error };
            Attempted::new(counts, Err(error))
        }
    }
}

/// The destination reports that the rows are there.
fn known_late(error: Error, written: Option<Written>, ctx: &ExecutionContext) -> Attempted {
    let Some(counts) = ctx.phase().counts(written) else {
        let place = destination(ctx);
        let error = Error::ambiguous(format!("the rows were committed to {place}, but were not counted"))
            .with_source(error)
            .with_hint(format!("compare {place} with the input: running the step again would write the rows twice"));
        return Attempted { may_have_written: true, ..Attempted::new(StepCounts::default(), Err(error)) };
    };
    match balance(&counts, Role::Write) {
        Ok(()) => Attempted::new(counts, Ok((None, None))),
        Err(error) => failed_after_commit(counts, error, ctx),
    }
}

/// The error of a commit that the component reported as ambiguous and that did not take place.
fn lost(error: Error) -> Error {
    Error::network("connection lost before the rows were committed: none of them was written").with_source(error)
}

fn ambiguous(counts: StepCounts, error: Error, intent: &Intent) -> Attempted {
    let place = intent.destination();
    let error = if error.kind() == ErrorKind::Ambiguous {
        error
    } else if intent.is_in_parts() {
        Error::ambiguous(format!("some of the rows may be in {place}: the write ended before it was confirmed"))
            .with_source(error)
            .with_hint(format!("check which rows are in {place}: running the step again would write those twice"))
    } else {
        Error::ambiguous(format!(
            "it is not known whether the rows were committed to {place}: all of them are there, or none"
        ))
        .with_source(error)
        .with_hint(format!(
            "check whether the rows are in {place}: if they are, running the step again would write them twice"
        ))
    };
    Attempted { may_have_written: true, ..Attempted::new(counts, Err(error)) }
}

fn destination(ctx: &ExecutionContext) -> String {
    ctx.phase().last_intent().map_or_else(|| "the destination".to_owned(), |intent| intent.destination().to_owned())
}

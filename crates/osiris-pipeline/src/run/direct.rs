//! Finds the steps whose rows go directly to the next step, and runs such a pair.
//!
//! Rows go over a direct edge where nothing but the next step would read the table: one writer reads it and waits for
//! nothing else; both components [stream](osiris_core::Component::streams); a resumed run reads the source again, or
//! there will be none since the store is in memory; the user does not keep the store. Where either has a time limit
//! there is a table, since the time of each would include the other's.

use std::collections::BTreeMap;
use std::time::Instant;

use osiris_core::store::DirectEdge;
use osiris_core::{ErrorKind, Inputs, ResumeFrom, RetryPolicy, Role, StepRequest};

use super::database;
use super::step_task::{StepTask, TaskRun};
use super::{RunOptions, StoreChoice};
use crate::{Plan, PlannedStep};

/// The direct edges of a run: from the index of a step to that of the step that receives its rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DirectEdges(BTreeMap<usize, usize>);

impl DirectEdges {
    /// Those between steps of `plan` that have not ended.
    pub(super) fn of(plan: &Plan, options: &RunOptions, has_ended: impl Fn(&str) -> bool) -> Self {
        if options.jobs < 2 || options.keep {
            return Self::default();
        }
        let needs_no_table =
            |step: &PlannedStep| options.store == StoreChoice::Memory || step.resume == ResumeFrom::Source;
        let steps = plan.steps().iter().enumerate().filter(|(_, step)| needs_no_table(step) && !has_ended(&step.id));
        Self(steps.filter_map(|(index, step)| Some((index, receiver(plan, step)?))).collect())
    }

    /// The step that receives the rows of the step at `index`.
    pub(super) fn from(&self, index: usize) -> Option<usize> {
        self.0.get(&index).copied()
    }
}

/// The only step that depends on `source`, if it reads its rows and waits for nothing else.
pub(super) fn sole_reader(steps: &[PlannedStep], source: &PlannedStep) -> Option<usize> {
    let mut others = steps.iter().enumerate().filter(|(_, other)| other.dependencies.contains(&source.id));
    let (Some((index, reader)), None) = (others.next(), others.next()) else { return None };
    let is_alone =
        matches!(reader.upstream.as_slice(), [(_, id)] if *id == source.id) && reader.dependencies.len() == 1;
    is_alone.then_some(index)
}

/// The step that the rows of `source` can go to directly.
fn receiver(plan: &Plan, source: &PlannedStep) -> Option<usize> {
    let index = sole_reader(plan.steps(), source)?;
    let receiver = &plan.steps()[index];
    let streams = |step: &PlannedStep, is_writer| {
        (step.driver.spec().role == Role::Write) == is_writer && !step.request.dry_run && step.prepared.streams()
    };
    let is_direct = streams(source, false)
        && streams(receiver, true)
        && !database::is_shared(plan, source, receiver)
        && source.request.timeout.is_none()
        && receiver.request.timeout.is_none();
    is_direct.then_some(index)
}

/// Runs `source` and, with each of its attempts, `receiver`, whose input may have a `key`. The last run of the receiver
/// counts; there is none when no attempt of the source got as far as its columns. Where the receiver fails with an error
/// that its `retry` is for, both start over: the rows are gone.
pub(super) async fn run(
    source: &StepTask,
    inputs: &Inputs,
    receiver: &StepTask,
    key: Option<&str>,
) -> (TaskRun, Option<TaskRun>) {
    let begun = Instant::now();
    let mut attempts = Attempts::default();
    let (mut rounds, mut failing_since) = (0, None);
    loop {
        rounds += 1;
        let (mut sent, mut received) = once(source, inputs, receiver, key, &mut attempts).await;
        if let Some(TaskRun { result: Err(failure), .. }) = &received {
            let failing_for = failing_since.get_or_insert_with(Instant::now).elapsed();
            if receiver.tries_again(rounds, failing_for, &failure.error).await {
                continue;
            }
        }
        sent.begun = begun;
        sent.count_all(attempts.sent);
        if let Some(received) = &mut received {
            received.begun = begun;
            received.count_all(attempts.received);
        }
        return (sent, received);
    }
}

/// How often each of the two was tried.
#[derive(Default)]
struct Attempts {
    sent: u32,
    received: u32,
}

async fn once(
    source: &StepTask,
    inputs: &Inputs,
    receiver: &StepTask,
    key: Option<&str>,
    attempts: &mut Attempts,
) -> (TaskRun, Option<TaskRun>) {
    let (edge, tables) = DirectEdge::new(&receiver.request.step_id);
    let ctx = source.ctx.clone().handing_over(edge);
    let sending = async {
        let begun = Instant::now();
        // The edge ends with this block, and with it the other.
        let ctx = ctx;
        TaskRun { begun, result: source.step.run(&source.request, inputs, &ctx).await }
    };
    // The rows are lost with the attempt: without the source it cannot be tried again.
    let receiving = async {
        let (mut tables, mut last) = (tables, None);
        while let Some(table) = tables.next().await {
            attempts.received += 1;
            let (retry, first_attempt) = (RetryPolicy::never(), attempts.received);
            let request = StepRequest { retry, first_attempt, ..receiver.request.clone() };
            let mut inputs = Inputs::none();
            inputs.insert(key.map(str::to_owned), table);
            let begun = Instant::now();
            let run = TaskRun { begun, result: receiver.step.run(&request, &inputs, &receiver.ctx).await };
            // Dropping the edge keeps the source from starting another attempt, which could write rows twice.
            let may_have_written =
                run.result.as_ref().is_err_and(|failure| failure.error.kind() == ErrorKind::Ambiguous);
            last = Some(run);
            if may_have_written {
                break;
            }
        }
        last
    };
    let (sent, received) = tokio::join!(sending, receiving);
    attempts.sent += sent.attempts();
    (sent, received)
}

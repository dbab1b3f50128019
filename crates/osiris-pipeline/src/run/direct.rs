//! Finds the steps whose rows go directly to the next step, and runs such a pair.
//!
//! Rows go over a direct edge where nothing but the next step would read the table: one writer reads it and waits for
//! nothing else; both components [stream](osiris_core::Component::streams); a resumed run reads the source again, or
//! there will be none since the store is in memory; the user does not keep the store. Where either has a time limit
//! there is a table, since the time of each would include the other's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
    let mut request = source.request.clone();
    let mut runs = ReceiverRuns::default();
    let (mut rounds, mut failing_since, mut last) = (0, None, None);
    loop {
        rounds += 1;
        let (mut sent, received) = once((source, &request), inputs, receiver, key, &mut runs).await;
        if let Some(TaskRun { result: Err(failure), .. }) = &received {
            let now = receiver.ctx.clock().now();
            let failing_for = now.duration_since(*failing_since.get_or_insert(now));
            if let Some(delay) = receiver.wait_for_retry(rounds, failing_for, &failure.error).await {
                let (attempts, waited) = sent.attempts();
                (request.first_attempt, request.waited) = (attempts + 1, waited + delay);
                last = received;
                continue;
            }
        }
        sent.count_from(begun);
        let mut received = received.or(last);
        if let Some(received) = &mut received {
            received.count_from(begun);
        }
        return (sent, received.map(|run| receiver.without_retry(run)));
    }
}

/// The runs of the receiver so far: one for each attempt of the source that got as far as its columns.
#[derive(Default)]
struct ReceiverRuns {
    count: u32,
    waited: Duration,
    /// When the last one ended.
    ended: Option<Instant>,
}

impl ReceiverRuns {
    /// The request for the next one, which begins `now`. It does not try again by itself: its rows are lost with the
    /// attempt.
    fn next(&mut self, request: &StepRequest, now: Instant) -> StepRequest {
        self.count += 1;
        self.waited += self.ended.map_or(Duration::ZERO, |ended| now.duration_since(ended));
        let (retry, first_attempt, waited) = (RetryPolicy::never(), self.count, self.waited);
        StepRequest { retry, first_attempt, waited, ..request.clone() }
    }
}

async fn once(
    (source, request): (&StepTask, &StepRequest),
    inputs: &Inputs,
    receiver: &StepTask,
    key: Option<&str>,
    runs: &mut ReceiverRuns,
) -> (TaskRun, Option<TaskRun>) {
    let (edge, tables) = DirectEdge::new(&receiver.request.step_id);
    let ctx = source.ctx.clone().handing_over(edge);
    let sending = async {
        let begun = Instant::now();
        // The edge ends with this block, and with it the other.
        let ctx = ctx;
        TaskRun { begun, result: source.step.run(request, inputs, &ctx).await }
    };
    let receiving = async {
        let (mut tables, mut last) = (tables, None);
        let clock = receiver.ctx.clock();
        while let Some(table) = tables.next().await {
            let request = runs.next(&receiver.request, clock.now());
            let mut inputs = Inputs::none();
            inputs.insert(key.map(str::to_owned), table);
            let begun = Instant::now();
            let run = TaskRun { begun, result: receiver.step.run(&request, &inputs, &receiver.ctx).await };
            runs.ended = Some(clock.now());
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
    tokio::join!(sending, receiving)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use async_trait::async_trait;
    use osiris_core::clock::SimulatedClock;
    use osiris_core::{
        Component, ComponentSpec, DestinationId, Error, ExecutionContext, Extract, Extracted, Registry, Result,
        RunContext, Step, Store, StoreKind, StoreOptions, TableRef, TableSink, Telemetry, Write, Written,
    };
    use schemars::JsonSchema;
    use serde::Deserialize;
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    struct Nothing {}

    struct OneRow;

    impl Component for OneRow {
        const SPEC: ComponentSpec = ComponentSpec::new("pair.extractor", "1", Role::Extract, "One row");
        type Connection = osiris_core::NoConnection;
        type Config = Nothing;
    }

    #[async_trait]
    impl Extract for OneRow {
        async fn extract(&self, _: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values([1]));
            let batch = RecordBatch::try_from_iter([("v", column)]).unwrap();
            out.sender(batch.schema()).await?.send(batch).await?;
            Ok(Extracted::rows(1))
        }
    }

    struct Away;

    impl Component for Away {
        const SPEC: ComponentSpec = ComponentSpec::new("pair.writer", "1", Role::Write, "Away");
        type Connection = osiris_core::NoConnection;
        type Config = Nothing;
    }

    #[async_trait]
    impl Write for Away {
        fn destination(&self, _: &Nothing, _: &osiris_core::NoConnection, base: &Path) -> DestinationId {
            DestinationId::file(base.join("away"))
        }

        async fn write(&self, _: &Step<'_, Self>, _: &TableRef, _: &ExecutionContext) -> Result<Written> {
            Err(Error::network("the server is away"))
        }
    }

    fn task(registry: &Registry, run: &RunContext, component: &str, index: usize) -> StepTask {
        let driver = registry.get(component).unwrap();
        let step = driver
            .prepare(&serde_json::json!({}), Some(&osiris_core::ResolvedConnection::none()), Path::new("."))
            .into_step()
            .unwrap();
        let (request, ctx) = (StepRequest::new(component), run.step(component));
        StepTask { index, role: driver.spec().role, step, request, ctx }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_pair_is_tried_again_as_long_as_the_clock_of_the_run_says_and_both_count_it() {
        let mut registry = Registry::new();
        registry.extractor(OneRow).add().unwrap();
        registry.writer(Away).add().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::new(StoreKind::Memory, directory.path())).unwrap();
        let clock = SimulatedClock::default();
        let run = RunContext::new(store, Telemetry::discard(), directory.path(), CancellationToken::new())
            .with_clock(Arc::new(clock.clone()));
        let [source, receiver] = ["pair.extractor", "pair.writer"].map(|component| task(&registry, &run, component, 0));
        let inputs = Inputs::none();
        let ended = super::run(&source, &inputs, &receiver, None);
        let (sent, received) = tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
        assert!(clock.elapsed() >= RetryPolicy::default().patience, "{:?}", clock.elapsed());
        let rounds = u32::try_from(clock.slept().len()).unwrap() + 1;
        assert!(rounds > 3, "{rounds}");
        for run in [sent, received.unwrap()] {
            assert_eq!(run.attempts(), (rounds, clock.elapsed()));
        }
    }
}

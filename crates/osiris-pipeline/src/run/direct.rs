//! Which steps hand their rows straight to another one, and the running of such a pair.
//!
//! Rows go over a direct edge where nothing but the next step would ever look at the table: the store is in memory, so that no later
//! run can take the table over; one writer reads it and waits for nothing else; both components say that they
//! [stream](osiris_core::Component::streams). Where either has a time limit there is a table, since the time of each would include the other's.

use std::collections::BTreeMap;
use std::time::Instant;

use osiris_core::store::DirectEdge;
use osiris_core::{ErrorKind, Inputs, RetryPolicy, Role, StepRequest};

use super::job::{Job, Ran};
use super::{RunOptions, StoreChoice};
use crate::{Plan, PlannedStep};

/// The direct edges of a run: from the index of a step to that of the step that takes its rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DirectEdges(BTreeMap<usize, usize>);

impl DirectEdges {
    /// Those of a run of `plan` from its beginning.
    pub(super) fn of(plan: &Plan, options: &RunOptions) -> Self {
        if options.store != StoreChoice::Memory || options.jobs < 2 {
            return Self::default();
        }
        let steps = plan.steps().iter().enumerate();
        Self(steps.filter_map(|(index, step)| Some((index, taker(plan.steps(), step)?))).collect())
    }

    /// The step that takes the rows of the step at `index`.
    pub(super) fn from(&self, index: usize) -> Option<usize> {
        self.0.get(&index).copied()
    }
}

/// The only step that has to do with `source`, if their rows can pass.
fn taker(steps: &[PlannedStep], source: &PlannedStep) -> Option<usize> {
    let mut others = steps.iter().enumerate().filter(|(_, other)| other.dependencies.contains(&source.id));
    let (Some((index, taker)), None) = (others.next(), others.next()) else { return None };
    let reads_it_alone =
        matches!(taker.upstream.as_slice(), [(_, id)] if *id == source.id) && taker.dependencies.len() == 1;
    let streams =
        |step: &PlannedStep, role| step.driver.spec().role == role && !step.request.dry_run && step.prepared.streams();
    let is_direct = reads_it_alone
        && streams(source, Role::Extract)
        && streams(taker, Role::Write)
        && source.request.timeout.is_none()
        && taker.request.timeout.is_none();
    is_direct.then_some(index)
}

/// Runs `source` and, with each of its attempts, `taker`, which may know its input by a `key`. The last of these counts; there is
/// none when no attempt got so far as to know its columns.
pub(super) async fn run(source: &Job, inputs: &Inputs, taker: &Job, key: Option<&str>) -> (Ran, Option<Ran>) {
    let (edge, arrivals) = DirectEdge::new(&taker.request.step_id);
    let ctx = source.ctx.clone().handing_over(edge);
    let reading = async {
        let begun = Instant::now();
        // The edge ends with this block, and with it the other.
        let ctx = ctx;
        Ran { begun, result: source.step.run(&source.request, inputs, &ctx).await }
    };
    // The rows are gone with the attempt: only the source can begin again.
    let request = StepRequest { retry: RetryPolicy::never(), ..taker.request.clone() };
    let taking = async {
        let (begun, mut attempts, mut last) = (Instant::now(), 0, None);
        let mut arrivals = arrivals;
        while let Some(table) = arrivals.next().await {
            attempts += 1;
            let mut inputs = Inputs::none();
            inputs.insert(key.map(str::to_owned), table);
            let mut ran = Ran { begun, result: taker.step.run(&request, &inputs, &taker.ctx).await };
            ran.count_all(attempts);
            // Without an end of the edge the source can begin again; what may have been written would be written twice.
            let may_have_written =
                ran.result.as_ref().is_err_and(|failure| failure.error.kind() == ErrorKind::Ambiguous);
            last = Some(ran);
            if may_have_written {
                break;
            }
        }
        last
    };
    tokio::join!(reading, taking)
}

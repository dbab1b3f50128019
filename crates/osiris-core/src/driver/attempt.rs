//! One attempt at a step, by role: open the sink, run the component, balance the ledger, commit or roll back.

use std::sync::Arc;

use serde_json::Value;

use crate::state::SavedState;
use crate::store::{Channel, FileIdentity, unless_misread};
use crate::{
    Component, Error, ExecutionContext, Extract, Inputs, Result, Role, Step, StepCounts, StepNote, TableRef, TableSink,
    Transform, Write,
};

/// The end of an attempt; it has counts whether it succeeded or not.
pub(super) struct Attempted {
    pub(super) counts: StepCounts,
    pub(super) result: Result<(Option<TableRef>, Option<Value>)>,
    /// Whether rows may be in the destination although the attempt failed.
    pub(super) may_have_written: bool,
}

impl Attempted {
    pub(super) fn new(counts: StepCounts, result: Result<(Option<TableRef>, Option<Value>)>) -> Self {
        Self { counts, result, may_have_written: false }
    }

    pub(super) fn failed(error: Error) -> Self {
        Self::new(StepCounts::default(), Err(error))
    }
}

pub(super) async fn extract<C: Extract>(component: &C, step: &Step<'_, C>, ctx: &ExecutionContext) -> Attempted {
    let mut counts = StepCounts::default();
    let result = async {
        let sink = ctx.sink().await?;
        as_sender(sink.channel(), fill(component, step, sink, ctx, &mut counts)).await
    }
    .await;
    Attempted::new(counts, result)
}

/// Until the receiver of the rows stops, where they go over a direct edge.
async fn as_sender<T>(channel: Option<Arc<Channel>>, work: impl Future<Output = Result<T>>) -> Result<T> {
    match channel {
        Some(channel) => channel.as_sender(work).await,
        None => work.await,
    }
}

/// Runs an extractor, balances its ledger and commits its rows.
async fn fill<C: Extract>(
    component: &C,
    step: &Step<'_, C>,
    sink: TableSink,
    ctx: &ExecutionContext,
    counts: &mut StepCounts,
) -> Result<(Option<TableRef>, Option<Value>)> {
    let extracted = component.extract(step, &sink, ctx).await?;
    ctx.rejects().enforce_limit()?;
    counts.read = extracted.read;
    counts.deduplicated = extracted.deduplicated;
    counts.altered = extracted.altered;
    counts.skipped = extracted.skipped;
    counts.ignored = extracted.ignored;
    counts.rejected = ctx.rejects().len();
    counts.stored = sink.rows().await?;
    balance(counts, Role::Extract)?;
    let state = match (extracted.state, step.source) {
        (Some(state), Some(source)) => Some(SavedState::new(source.clone(), state).to_value()?),
        (state, _) => state,
    };
    let note = note(step, counts, state.clone());
    Ok((Some(sink.finish_with(note).await?), state))
}

pub(super) async fn transform<C: Transform>(
    component: &C,
    step: &Step<'_, C>,
    inputs: &Inputs,
    ctx: &ExecutionContext,
) -> Attempted {
    let mut counts = StepCounts { read: inputs.iter().map(|input| input.table.rows()).sum(), ..StepCounts::default() };
    let result = async {
        let sink = ctx.sink().await?;
        as_sender(sink.channel(), compute(component, step, inputs, sink, ctx, &mut counts)).await
    }
    .await;
    Attempted::new(counts, result)
}

/// Runs a transformation and commits its rows.
async fn compute<C: Transform>(
    component: &C,
    step: &Step<'_, C>,
    inputs: &Inputs,
    sink: TableSink,
    ctx: &ExecutionContext,
    counts: &mut StepCounts,
) -> Result<(Option<TableRef>, Option<Value>)> {
    let tables = || inputs.iter().map(|input| &input.table);
    let transformed = unless_misread(tables(), component.transform(step, inputs, &sink, ctx).await);
    let files: Vec<_> = tables().flat_map(TableRef::files).cloned().collect();
    FileIdentity::unless_changed(&files, transformed)?;
    ctx.store().ensure_row_counts_match(tables(), &sink.file_scans().await?).await?;
    ctx.rejects().enforce_limit()?;
    counts.rejected = ctx.rejects().len();
    counts.stored = sink.rows().await?;
    if ctx.progress().rows() == 0 {
        // SQL made the table: no sender has counted its rows [DRV-014].
        ctx.progress().add_rows(counts.stored);
    }
    let note = StepNote { files, ..note(step, counts, None) };
    Ok((Some(sink.finish_with(note).await?), None))
}

pub(super) async fn write<C: Write>(
    component: &C,
    step: &Step<'_, C>,
    inputs: &Inputs,
    ctx: &ExecutionContext,
) -> Attempted {
    let mut counts = StepCounts::default();
    let result = async {
        let input = inputs.single(step.input_step())?;
        ctx.phase().set_input(input);
        let written = unless_misread(std::iter::once(input), component.write(step, input, ctx).await);
        // The files of what is committed at once were compared when the commit began.
        let written = match &written {
            Ok(_) if !ctx.phase().is_in_parts() => written,
            _ => FileIdentity::unless_changed(input.files(), written),
        };
        counts.read = input.rows();
        let written = match input.channel() {
            Some(channel) => channel.as_receiver(written),
            None => written,
        }?;
        written.add_to(&mut counts);
        counts.rejected = ctx.rejects().len();
        if !step.dry_run() {
            balance(&counts, Role::Write)?;
        }
        Ok((None, None))
    }
    .await;
    Attempted::new(counts, result)
}

/// What a resumed run needs to know of a committed table.
fn note<C: Component>(step: &Step<'_, C>, counts: &StepCounts, state: Option<Value>) -> StepNote {
    StepNote { counts: counts.clone(), state, fingerprint: step.fingerprint.map(str::to_owned), ..StepNote::default() }
}

pub(super) fn balance(counts: &StepCounts, role: Role) -> Result<()> {
    let Some(difference) = counts.imbalance(role) else { return Ok(()) };
    let error = Error::integrity(format!("the ledger does not balance: {difference}"));
    Err(if role == Role::Write {
        error.with_hint(
            "compare the destination with the input before the step runs again; if it fails again, report a bug",
        )
    } else {
        error.with_hint("no row of this step was kept: run it again; if it fails again, report a bug")
    })
}

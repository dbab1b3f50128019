//! The order of steps at run time: whatever is ready runs, up to a number side by side; after a failure nothing new begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use osiris_core::{
    Driver, Error, ErrorKind, ExecutionContext, Inputs, Progress, Result, Role, RunContext, StepFailure, StepOutput,
    StepRequest, TableRef, event,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::directory::RunDirectory;
use super::ledger::Ledger;
use super::past::PastRun;
use super::report::{StepReport, StepStatus};
use super::state::States;
use super::{Observer, rejects};
use crate::{Plan, PlannedStep};

/// One run of a plan's steps.
pub(super) struct Scheduler<'a> {
    plan: &'a Plan,
    context: &'a RunContext,
    directory: &'a RunDirectory,
    states: &'a States,
    observer: &'a dyn Observer,
    jobs: usize,
    started: Instant,
    tables: BTreeMap<String, TableRef>,
    reports: BTreeMap<String, StepReport>,
}

type Ended = (usize, ExecutionContext, Instant, Result<StepOutput, StepFailure>);

impl<'a> Scheduler<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        context: &'a RunContext,
        directory: &'a RunDirectory,
        states: &'a States,
        observer: &'a dyn Observer,
        jobs: usize,
        started: Instant,
    ) -> Self {
        let reports = plan.steps().iter().map(|step| (step.id.clone(), StepReport::skipped(step)));
        let reports = reports.collect();
        Self {
            plan,
            context,
            directory,
            states,
            observer,
            jobs: jobs.max(1),
            started,
            tables: BTreeMap::new(),
            reports,
        }
    }

    /// Runs everything that can be run and returns what became of each step, in the order of the plan.
    pub(super) async fn run(mut self, resume: Option<&PastRun>) -> Result<Vec<StepReport>> {
        if let Some(past) = resume {
            self.reuse(past).await?;
        }
        let mut begun: BTreeSet<usize> = BTreeSet::new();
        let mut running: JoinSet<Ended> = JoinSet::new();
        loop {
            while running.len() < self.jobs
                && self.may_begin()
                && let Some(index) = self.next_ready(&begun)
            {
                begun.insert(index);
                self.begin(index, &mut running).await;
            }
            let Some(ended) = running.join_next().await else { break };
            match ended {
                Ok((index, ctx, begun_at, result)) => self.end(index, &ctx, begun_at, result).await?,
                Err(error) => return Err(Error::unknown("a step ended in a panic").with_source(error)),
            }
        }
        for step in self.plan.steps() {
            if let Some(report) = self.reports.get(&step.id)
                && report.status == StepStatus::Skipped
            {
                self.observer.step_finished(report);
            }
        }
        let mut reports = self.reports;
        Ok(self.plan.steps().iter().filter_map(|step| reports.remove(&step.id)).collect())
    }

    fn may_begin(&self) -> bool {
        let failed = |report: &StepReport| matches!(report.status, StepStatus::Failed | StepStatus::Cancelled);
        !self.context.cancel().is_cancelled() && !self.reports.values().any(failed)
    }

    fn has_ended(&self, id: &str) -> bool {
        self.reports.get(id).is_some_and(|report| matches!(report.status, StepStatus::Done | StepStatus::Reused))
    }

    /// The first step in the order of the plan that has not begun and waits for nothing.
    fn next_ready(&self, begun: &BTreeSet<usize>) -> Option<usize> {
        let mut steps = self.plan.steps().iter().enumerate();
        let ready = steps.find(|(index, step)| {
            !begun.contains(index)
                && !self.has_ended(&step.id)
                && step.dependencies.iter().all(|dependency| self.has_ended(dependency))
        });
        ready.map(|(index, _)| index)
    }

    async fn begin(&mut self, index: usize, running: &mut JoinSet<Ended>) {
        let step = &self.plan.steps()[index];
        let progress = Arc::new(Progress::default());
        self.observer.step_started(step, Arc::clone(&progress));
        let ctx = self.context.step_with_progress(&step.id, progress);
        let begun_at = Instant::now();
        let prepared = self.prepare(step);
        let driver: Arc<dyn Driver> = Arc::clone(&step.driver);
        running.spawn(async move {
            let result = match prepared {
                Ok((request, inputs)) => driver.run(&request, &inputs, &ctx).await,
                Err(error) => Err(StepFailure {
                    error: error.with_step(ctx.step_id()),
                    counts: Default::default(),
                    duration: begun_at.elapsed(),
                    attempts: 0,
                }),
            };
            (index, ctx, begun_at, result)
        });
    }

    fn prepare(&self, step: &PlannedStep) -> Result<(StepRequest, Inputs)> {
        let mut request = step.request.clone();
        if step.driver.spec().role == Role::Extract {
            request.state = self.states.load(&step.id)?;
        }
        let mut inputs = Inputs::none();
        for (key, upstream) in &step.upstream {
            // A writer has no table: a step that waits for one reads nothing from it.
            if let Some(table) = self.tables.get(upstream) {
                inputs.insert(key.clone(), table.clone());
            }
        }
        Ok((request, inputs))
    }

    async fn end(
        &mut self,
        index: usize,
        ctx: &ExecutionContext,
        begun_at: Instant,
        result: Result<StepOutput, StepFailure>,
    ) -> Result<()> {
        let step = &self.plan.steps()[index];
        let rejects = rejects::export(ctx, self.directory).await;
        let offset = begun_at.duration_since(self.started);
        let Some(report) = self.reports.get_mut(&step.id) else { return Ok(()) };
        report.rejects = rejects;
        report.offset = offset;
        match result {
            Ok(output) => {
                report.status = StepStatus::Done;
                report.counts = output.counts;
                report.rows = output.rows;
                report.duration = output.duration;
                report.attempts = output.attempts;
                report.state = output.state;
                if let Some(table) = output.table {
                    self.tables.insert(step.id.clone(), table);
                }
            }
            Err(failure) => {
                let cancelled = failure.error.kind() == ErrorKind::Cancelled;
                report.status = if cancelled { StepStatus::Cancelled } else { StepStatus::Failed };
                report.counts = failure.counts;
                report.duration = failure.duration;
                report.attempts = failure.attempts;
                report.error = Some(failure.error);
            }
        }
        self.observer.step_finished(report);
        self.write_ledger()
    }

    /// The books after each step: a run that is killed can be resumed from them.
    fn write_ledger(&self) -> Result<()> {
        let steps = self.plan.steps().iter().filter_map(|step| self.reports.get(&step.id));
        let ledger = Ledger::of(self.directory.id(), self.plan.name(), steps, self.plan.is_dry_run());
        self.directory.write_ledger(&ledger)
    }

    /// Takes over what the run that is resumed had brought to its end: committed tables with an unchanged fingerprint, and
    /// writes that the books know of.
    async fn reuse(&mut self, past: &PastRun) -> Result<()> {
        for step in self.plan.steps() {
            let Some(wanted) = self.reports.get(&step.id).map(|report| report.fingerprint.clone()) else { continue };
            let upstream_kept = step.dependencies.iter().all(|dependency| self.has_ended(dependency));
            let kept = upstream_kept
                && if step.driver.spec().role == Role::Write {
                    self.reuse_write(step, past, &wanted)
                } else {
                    self.reuse_table(step, &wanted).await?
                };
            if !kept {
                continue;
            }
            let Some(report) = self.reports.get_mut(&step.id) else { continue };
            report.status = StepStatus::Reused;
            self.context.telemetry().log_event(event::STEP_REUSED, json!({"step_id": step.id, "rows": report.rows}));
            self.observer.step_finished(report);
        }
        Ok(())
    }

    async fn reuse_table(&mut self, step: &PlannedStep, wanted: &str) -> Result<bool> {
        let store = self.context.store();
        let (Some(table), Some(note)) = (store.table(&step.id).await?, store.note(&step.id).await?) else {
            return Ok(false);
        };
        if note.fingerprint.as_deref() != Some(wanted) {
            return Ok(false);
        }
        if let Some(report) = self.reports.get_mut(&step.id) {
            report.counts = note.counts;
            report.rows = table.rows();
            report.state = note.state;
        }
        self.tables.insert(step.id.clone(), table);
        Ok(true)
    }

    fn reuse_write(&mut self, step: &PlannedStep, past: &PastRun, wanted: &str) -> bool {
        let ledger = past.ledger().into_iter().flat_map(|ledger| &ledger.steps);
        let mut written = ledger.filter(|entry| entry.id == step.id && entry.fingerprint == wanted);
        let Some(entry) = written.find(|entry| matches!(entry.status, StepStatus::Done | StepStatus::Reused)) else {
            return false;
        };
        if let Some(report) = self.reports.get_mut(&step.id) {
            report.counts = entry.counts.clone();
            report.rows = entry.counts.acknowledged();
        }
        true
    }
}

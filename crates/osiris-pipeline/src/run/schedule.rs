//! The order of steps at run time: whatever is ready runs, up to a number side by side; after a failure nothing new begins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use osiris_core::{Error, ErrorKind, Inputs, Progress, Result, Role, RunContext, StepRequest, TableRef, event};
use serde_json::json;
use tokio::task::JoinSet;

use super::direct::{self, DirectEdges};
use super::directory::RunDirectory;
use super::job::{Ended, Job};
use super::ledger::Ledger;
use super::past::PastRun;
use super::report::{StepReport, StepStatus};
use super::state::States;
use super::{Observer, RunOptions, rejects, source};
use crate::{Plan, PlannedStep};

/// One run of a plan's steps.
pub(super) struct Scheduler<'a> {
    plan: &'a Plan,
    context: &'a RunContext,
    directory: &'a RunDirectory,
    states: &'a States,
    observer: &'a dyn Observer,
    options: &'a RunOptions,
    edges: DirectEdges,
    started: Instant,
    tables: BTreeMap<String, TableRef>,
    reports: BTreeMap<String, StepReport>,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        context: &'a RunContext,
        directory: &'a RunDirectory,
        states: &'a States,
        observer: &'a dyn Observer,
        options: &'a RunOptions,
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
            options,
            edges: DirectEdges::default(),
            started,
            tables: BTreeMap::new(),
            reports,
        }
    }

    /// Runs everything that can be run and returns what became of each step, in the order of the plan.
    pub(super) async fn run(mut self, resume: Option<&PastRun>) -> Result<Vec<StepReport>> {
        match resume {
            Some(past) => self.reuse(past).await?,
            None => self.edges = DirectEdges::of(self.plan, self.options),
        }
        let mut begun: BTreeSet<usize> = BTreeSet::new();
        let mut running: JoinSet<Vec<Ended>> = JoinSet::new();
        let mut busy = 0;
        loop {
            while self.may_begin()
                && let Some(index) = self.next_ready(&begun)
                && busy + self.steps_at_once(index) <= self.options.jobs.max(1)
            {
                begun.insert(index);
                begun.extend(self.edges.from(index));
                busy += self.steps_at_once(index);
                self.begin(index, &mut running);
            }
            let Some(ended) = running.join_next().await else { break };
            let ended = ended.map_err(|error| Error::unknown("a step ended in a panic").with_source(error))?;
            busy -= ended.first().map_or(0, |first| self.steps_at_once(first.index));
            for ended in ended {
                self.end(ended).await?;
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

    /// Begins a step, and with it the one that takes its rows.
    fn begin(&self, index: usize, running: &mut JoinSet<Vec<Ended>>) {
        let mut job = self.job(index);
        let inputs = self.inputs(index);
        let state = match job.driver.spec().role {
            Role::Extract => self.states.load(&job.request.step_id),
            _ => Ok(None),
        };
        let taker = self.edges.from(index).map(|index| (self.job(index), self.key_of_its_input(index)));
        running.spawn(async move {
            match state {
                Ok(state) => job.request.state = state,
                Err(error) => {
                    let refused = job.refused(error);
                    return vec![job.ended(refused)];
                }
            }
            let Some((taker, key)) = taker else {
                let ran = job.run(&inputs).await;
                return vec![job.ended(ran)];
            };
            let (ran, taken) = direct::run(&job, &inputs, &taker, key.as_deref()).await;
            let mut ended = vec![job.ended(ran)];
            ended.extend(taken.map(|ran| taker.ended(ran)));
            ended
        });
    }

    fn job(&self, index: usize) -> Job {
        let step = &self.plan.steps()[index];
        let progress = Arc::new(Progress::default());
        self.observer.step_started(step, Arc::clone(&progress));
        let ctx = self.context.step_with_progress(&step.id, progress);
        let origin = source::origin(self.plan, &self.options.root);
        let request = StepRequest { origin, ..step.request.clone() };
        Job { index, driver: Arc::clone(&step.driver), request, ctx }
    }

    fn inputs(&self, index: usize) -> Inputs {
        let mut inputs = Inputs::none();
        for (key, upstream) in &self.plan.steps()[index].upstream {
            // A writer has no table: a step that waits for one reads nothing from it.
            if let Some(table) = self.tables.get(upstream) {
                inputs.insert(key.clone(), table.clone());
            }
        }
        inputs
    }

    /// What a step with one input calls it, besides the step's id.
    fn key_of_its_input(&self, index: usize) -> Option<String> {
        self.plan.steps()[index].upstream.first().and_then(|(key, _)| key.clone())
    }

    /// How many steps run when the one at `index` does: with it, the one that takes its rows.
    fn steps_at_once(&self, index: usize) -> usize {
        1 + usize::from(self.edges.from(index).is_some())
    }

    async fn end(&mut self, ended: Ended) -> Result<()> {
        let Ended { index, ctx, ran } = ended;
        let step = &self.plan.steps()[index];
        let rejects = rejects::export(&ctx, self.directory).await;
        let offset = ran.begun.duration_since(self.started);
        let Some(report) = self.reports.get_mut(&step.id) else { return Ok(()) };
        report.rejects = rejects;
        report.offset = offset;
        match ran.result {
            Ok(output) => {
                report.status = StepStatus::Done;
                report.counts = output.counts;
                report.rows = output.rows;
                report.duration = output.duration;
                report.attempts = output.attempts;
                report.state = output.state;
                // Rows that went over a direct edge are in no table.
                if let Some(table) = output.table.filter(|_| self.edges.from(index).is_none()) {
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

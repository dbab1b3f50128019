//! Schedules the steps of a run: whatever is ready runs, up to a number of steps in parallel; after a failure no
//! further step is started, but for those of other tables where it was that of a table of a group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use osiris_core::{
    Code, Error, ErrorKind, Inputs, Progress, Result, Role, RunContext, StepFailure, StepOutput, StepRequest, TableRef,
};
use tokio::task::{Id, JoinError, JoinSet};

use super::commits::CommitFile;
use super::direct::{self, DirectEdges};
use super::directory::RunDirectory;
use super::ledger::{Ledger, StepColumn};
use super::past::PastRun;
use super::report::{StepReport, StepStatus};
use super::state::States;
use super::step_task::{FinishedTask, StepTask};
use super::suggest::{Question, with_suggestion};
use super::{Observer, RunOptions, rejects, source};
use crate::{Plan, PlannedStep};

/// One run of a plan's steps.
pub(super) struct Scheduler<'a> {
    pub(super) plan: &'a Plan,
    pub(super) context: &'a RunContext,
    directory: &'a RunDirectory,
    pub(super) commits: &'a CommitFile,
    states: &'a States,
    pub(super) observer: &'a dyn Observer,
    pub(super) options: &'a RunOptions,
    edges: DirectEdges,
    /// The steps whose tables each step reads.
    reads: Arc<BTreeMap<String, Vec<String>>>,
    started: Instant,
    pub(super) tables: BTreeMap<String, TableRef>,
    pub(super) reports: BTreeMap<String, StepReport>,
    problems: Vec<String>,
}

/// The result of all steps.
pub(super) struct Finished {
    /// In the order of the plan.
    pub(super) steps: Vec<StepReport>,
    /// Why the run ended although no step failed.
    pub(super) problems: Vec<String>,
    /// What is wrong with the tables of the run.
    pub(super) error: Option<Error>,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        context: &'a RunContext,
        directory: &'a RunDirectory,
        commits: &'a CommitFile,
        states: &'a States,
        observer: &'a dyn Observer,
        options: &'a RunOptions,
    ) -> Self {
        let reports = plan.steps().iter().map(|step| (step.id.clone(), StepReport::skipped(step)));
        let reports = reports.collect();
        let upstream = |step: &PlannedStep| step.upstream.iter().map(|(_, step)| step.clone()).collect();
        let reads = plan.steps().iter().map(|step| (step.id.clone(), upstream(step))).collect();
        Self {
            plan,
            context,
            directory,
            commits,
            states,
            observer,
            options,
            edges: DirectEdges::default(),
            reads: Arc::new(reads),
            started: Instant::now(),
            tables: BTreeMap::new(),
            reports,
            problems: Vec::new(),
        }
    }

    /// Measures the time of the run from `started`.
    pub(super) fn since(mut self, started: Instant) -> Self {
        self.started = started;
        self
    }

    /// Runs all steps that can run. Whatever happens to a step or to the run directory, running steps are waited for: a
    /// step that may be writing is never dropped.
    ///
    /// # Errors
    /// The run cannot be resumed; no step was started then.
    pub(super) async fn run(mut self, resume: Option<&PastRun>) -> Result<Finished> {
        if let Some(past) = resume {
            self.reuse(past).await?;
            self.refuse_saved()?;
        }
        self.edges = DirectEdges::of(self.plan, self.options, |id| self.has_ended(id));
        let mut begun: BTreeSet<usize> = BTreeSet::new();
        let mut running: JoinSet<Vec<FinishedTask>> = JoinSet::new();
        let mut asked: JoinSet<Option<String>> = JoinSet::new();
        let mut indices: BTreeMap<Id, usize> = BTreeMap::new();
        let mut busy = 0;
        loop {
            while let Some(index) = self.next_ready(&begun, self.startable())
                && busy + self.steps_at_once(index) <= self.options.jobs.max(1)
            {
                begun.insert(index);
                begun.extend(self.edges.from(index));
                busy += self.steps_at_once(index);
                indices.insert(self.begin(index, &mut running), index);
            }
            tokio::select! {
                Some(joined) = running.join_next_with_id() => {
                    let index = indices.get(&id_of(&joined)).copied();
                    busy -= index.map_or(0, |index| self.steps_at_once(index));
                    match joined {
                        Ok((_, ended)) => {
                            for ended in ended {
                                let index = ended.index;
                                if let Some(question) = self.end(ended).await {
                                    indices.insert(asked.spawn(question.answer()).id(), index);
                                }
                            }
                        }
                        Err(error) => self.broke(index, error),
                    }
                }
                Some(joined) = asked.join_next_with_id() => {
                    let index = indices.get(&id_of(&joined)).copied();
                    self.advise(index, joined.ok().and_then(|(_, suggestion)| suggestion));
                }
                else => break,
            }
        }
        let error = self.context.store().ensure_all_as_committed().await.err();
        for step in self.plan.steps() {
            if let Some(report) = self.reports.get(&step.id)
                && report.status == StepStatus::Skipped
            {
                self.observer.step_finished(report);
            }
        }
        let mut reports = self.reports;
        let steps = self.plan.steps().iter().filter_map(|step| reports.remove(&step.id)).collect();
        Ok(Finished { steps, problems: self.problems, error })
    }

    /// A table of a group whose state the resumed run has saved had arrived. If it is to be read again, since the pipeline was
    /// changed, what was read of it before would be missing.
    fn refuse_saved(&self) -> Result<()> {
        let again = self.plan.steps().iter().filter(|step| step.group.is_some() && !self.has_ended(&step.id));
        for step in again.filter(|_| !self.options.force) {
            if self.states.is_saved_by(&step.id, self.directory.id())? {
                return Err(Error::validation(format!(
                    "run {} cannot be resumed: the rows of step `{}` had arrived and its state was saved, and the step has changed since",
                    self.directory.id(),
                    step.id
                ))
                .with_code(Code::NotResumable)
                .with_hint("start a new run, which reads what is new since then"));
            }
        }
        Ok(())
    }

    fn startable(&self) -> Startable {
        if !self.problems.is_empty() || self.context.cancel().is_cancelled() {
            return Startable::None;
        }
        let mut failed = self.reports.values().filter(|report| {
            matches!(report.status, StepStatus::Failed | StepStatus::Cancelled | StepStatus::Ambiguous)
        });
        // A server that is not there is not there for the other tables either: each would wait for it as long.
        let concerns_all = |error: &Error| error.is_connection_failed() || error.kind() == ErrorKind::Network;
        let is_own = |report: &StepReport| report.group.is_some() && !report.error.as_ref().is_some_and(concerns_all);
        match failed.try_fold(Startable::All, |_, report| is_own(report).then_some(Startable::Groups)) {
            Some(startable) => startable,
            None => Startable::None,
        }
    }

    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.reports.get(id).is_some_and(|report| report.status.is_done())
    }

    /// The first step in the order of the plan that has not begun and waits for nothing.
    fn next_ready(&self, begun: &BTreeSet<usize>, startable: Startable) -> Option<usize> {
        let mut steps = self.plan.steps().iter().enumerate();
        let ready = steps.find(|(index, step)| {
            startable.includes(step)
                && !begun.contains(index)
                && !self.has_ended(&step.id)
                && step.dependencies.iter().all(|dependency| self.has_ended(dependency))
        });
        ready.map(|(index, _)| index)
    }

    /// Starts a step, and with it the one that receives its rows over a direct edge.
    fn begin(&self, index: usize, running: &mut JoinSet<Vec<FinishedTask>>) -> Id {
        let mut task = self.task(index);
        let inputs = self.inputs(index);
        let state = match task.role {
            Role::Extract => self.states.load(&task.request.step_id),
            _ => Ok(None),
        };
        if let Some(receiver) = self.edges.from(index) {
            let receiver = &self.plan.steps()[receiver].id;
            tracing::debug!(step = task.request.step_id, receiver, "the rows go directly to the step that takes them");
        }
        let receiver = self.edges.from(index).map(|index| (self.task(index), self.input_key(index)));
        let (store, reads) = (self.context.store().clone(), Arc::clone(&self.reads));
        let handle = running.spawn(async move {
            let ready = match state {
                Ok(state) => store.ensure_as_committed(&task.request.step_id, &reads).await.map(|()| state),
                Err(error) => Err(error),
            };
            match ready {
                Ok(state) => task.request.state = state,
                Err(error) => {
                    let run = task.not_started(error);
                    return vec![task.finish(run)];
                }
            }
            let Some((receiver, key)) = receiver else {
                let run = task.run(&inputs).await;
                return vec![task.finish(run)];
            };
            let (run, received) = direct::run(&task, &inputs, &receiver, key.as_deref()).await;
            let mut ended = vec![task.finish(run)];
            ended.extend(received.map(|run| receiver.finish(run)));
            ended
        });
        handle.id()
    }

    fn task(&self, index: usize) -> StepTask {
        let step = &self.plan.steps()[index];
        let progress = Arc::new(Progress::default());
        self.observer.step_started(step, Arc::clone(&progress));
        let ctx = self.context.step_with_progress(&step.id, progress);
        let origin = source::origin(self.plan, &self.options.root);
        let request = StepRequest { origin, ..step.request.clone() };
        let component = step.driver.spec().name;
        // Masked as in the manifest; the values of cells are in no log.
        tracing::debug!(step = step.id, component, config = %step.shown_config(), "the step begins");
        StepTask { index, role: step.driver.spec().role, step: Arc::clone(&step.prepared), request, ctx }
    }

    pub(super) fn inputs(&self, index: usize) -> Inputs {
        let mut inputs = Inputs::none();
        for (key, upstream) in &self.plan.steps()[index].upstream {
            // A writer has no table: a step that waits for one reads nothing from it.
            if let Some(table) = self.tables.get(upstream) {
                inputs.insert(key.clone(), table.clone());
            }
        }
        inputs
    }

    /// The key of the first input of a step, if it has one.
    fn input_key(&self, index: usize) -> Option<String> {
        self.plan.steps()[index].upstream.first().and_then(|(key, _)| key.clone())
    }

    /// How many steps run when the one at `index` does: the receiver of its rows included.
    fn steps_at_once(&self, index: usize) -> usize {
        1 + usize::from(self.edges.from(index).is_some())
    }

    /// Records the end of a step. What it returns is to be asked before it is reported: meanwhile others go on.
    async fn end(&mut self, ended: FinishedTask) -> Option<Question> {
        let FinishedTask { index, ctx, run } = ended;
        let step = &self.plan.steps()[index];
        let (attempts, waited) = run.attempts();
        let (seconds, waited) = (run.begun.elapsed().as_secs_f64(), waited.as_secs_f64());
        tracing::debug!(step = step.id, is_done = run.result.is_ok(), attempts, waited, seconds, "the step has ended");
        let rejects = rejects::export(&ctx, self.directory).await;
        let reasons = rejects::reasons(&ctx).await;
        let offset = run.begun.duration_since(self.started);
        let report = self.reports.get_mut(&step.id)?;
        report.rejects = rejects;
        report.reject_reasons = reasons;
        report.offset = offset;
        let question = match run.result {
            Ok(output) => {
                if let Some(table) = &output.table {
                    let redactor = self.context.telemetry().redactor();
                    let columns = table.schema().columns().iter();
                    report.columns = columns.map(|column| StepColumn::new(column, &redactor)).collect();
                }
                // Rows that went over a direct edge are in no table.
                if let Some(table) = output.table.clone().filter(|_| self.edges.from(index).is_none()) {
                    self.tables.insert(step.id.clone(), table);
                }
                done(report, output);
                None
            }
            Err(failure) => {
                let error = step.with_connection(failure.error);
                let question = Question::after(step, self.plan.pipeline().source.directory(), &error);
                failed(report, StepFailure { error, ..failure });
                question
            }
        };
        if question.is_none() {
            self.observer.step_finished(report);
        }
        self.write_ledger();
        question
    }

    /// Reports a failed step whose source was asked for the name that was meant.
    fn advise(&mut self, index: Option<usize>, suggestion: Option<String>) {
        let Some(index) = index else { return };
        let Some(report) = self.reports.get_mut(&self.plan.steps()[index].id) else { return };
        if let Some(suggestion) = suggestion {
            report.error = report.error.take().map(|error| with_suggestion(error, suggestion));
        }
        self.observer.step_finished(report);
        self.write_ledger();
    }

    /// Reports a step whose task ended without a result.
    fn broke(&mut self, index: Option<usize>, error: JoinError) {
        let ids = [index, index.and_then(|index| self.edges.from(index))].into_iter().flatten();
        for id in ids.map(|index| self.plan.steps()[index].id.clone()) {
            let Some(report) = self.reports.get_mut(&id) else { continue };
            let message = "internal error: the runner panicked";
            let error = if report.role == Role::Write { Error::ambiguous(message) } else { Error::unknown(message) };
            report.status = StepStatus::of_error(error.kind());
            report.error = Some(error.with_step(&id).with_hint("report this as a bug"));
            self.observer.step_finished(report);
        }
        self.problems.push(format!("the runner failed: {error}"));
        self.write_ledger();
    }

    /// Writes the ledger after each step, so that a killed run can be resumed. If it cannot be written, no further step
    /// is started.
    fn write_ledger(&mut self) {
        let steps = self.plan.steps().iter().filter_map(|step| self.reports.get(&step.id));
        let ledger = Ledger::of(self.directory.id(), self.plan.name(), steps, self.plan.is_dry_run());
        if let Err(error) = self.directory.write_ledger(&ledger)
            && self.problems.is_empty()
        {
            self.problems.push(unrecorded(&error));
        }
    }
}

/// Which steps may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Startable {
    All,
    /// Only those of tables of groups: a table has failed, which the others have nothing to do with.
    Groups,
    None,
}

impl Startable {
    fn includes(self, step: &PlannedStep) -> bool {
        match self {
            Self::All => true,
            Self::Groups => step.group.is_some(),
            Self::None => false,
        }
    }
}

fn id_of<T>(joined: &Result<(Id, T), JoinError>) -> Id {
    joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id)
}

fn done(report: &mut StepReport, output: StepOutput) {
    report.status = StepStatus::Done;
    report.counts = output.counts;
    report.rows = output.rows;
    report.duration = output.duration;
    report.attempts = output.attempts;
    report.state = output.state;
}

fn failed(report: &mut StepReport, failure: StepFailure) {
    report.status = StepStatus::of_error(failure.error.kind());
    report.counts = failure.counts;
    report.duration = failure.duration;
    report.attempts = failure.attempts;
    report.may_have_written = failure.may_have_written;
    report.error = Some(failure.error);
}

/// The message when a record of the run cannot be written.
pub(super) fn unrecorded(error: &Error) -> String {
    let path = error.context().iter().find(|(key, _)| *key == "path").map_or("the run directory", |(_, path)| path);
    format!("the record of the run could not be written, so no further step was started: {path}: {}", error.message())
}

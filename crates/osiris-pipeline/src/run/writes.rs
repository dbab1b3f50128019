//! What a resumed run knows about the writes of the run before it: done, not done, or unknown until the destination is
//! asked.

use osiris_core::{
    Code, CommitEnd, CommitOutcome, Error, ExecutionContext, Inputs, Result, Role, StepCounts, StepRequest,
};

use super::RunOptions;
use super::commits::{self, CommitFile, PastCommit, PastCommits};
use super::confirmation::Confirmation;
use super::ledger::LedgerStep;
use super::past::PastRun;
use super::report::StepStatus;
use crate::{Plan, PlannedStep};

/// What is to be done about a write.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// It is done: these are its lines of the ledger.
    Done(StepCounts),
    /// The user has confirmed it: its rows were not counted.
    Confirmed(Confirmation),
    /// It did not take place, or may be repeated.
    Run,
}

/// The state of an earlier write.
enum WriteState {
    /// It is done, with these lines of the ledger.
    Done(StepCounts),
    /// The user has confirmed it.
    Confirmed(Confirmation),
    /// It did not take place, or can be repeated safely.
    NotDone,
    /// Some or all of its rows may be there; the error for the user.
    Ambiguous(Error),
}

/// The writes of the resumed run.
pub(super) struct PastWrites<'a> {
    run: &'a str,
    steps: &'a [LedgerStep],
    recorded: PastCommits,
    file: &'a CommitFile,
    options: &'a RunOptions,
}

/// The step whose earlier write is looked up, as it would run now.
pub(super) struct WriteQuery<'a> {
    pub(super) step: &'a PlannedStep,
    pub(super) request: &'a StepRequest,
    pub(super) inputs: &'a Inputs,
    /// Whether the tables it reads are those that it read before.
    pub(super) inputs_kept: bool,
    pub(super) ctx: &'a ExecutionContext,
}

impl<'a> PastWrites<'a> {
    /// Those of `past`; further records go to `file`. With the option `force` the user takes responsibility for unknown
    /// outcomes.
    ///
    /// # Errors
    /// The record of commits cannot be read.
    pub(super) fn of(past: &'a PastRun, file: &'a CommitFile, options: &'a RunOptions) -> Result<Self> {
        let steps = past.ledger().map_or(&[][..], |ledger| &ledger.steps);
        Ok(Self { run: &past.record().run_id, steps, recorded: commits::read(past.directory())?, file, options })
    }

    /// Checks that every step that has written, or may have, is still in the plan: under another name it would write
    /// again.
    ///
    /// # Errors
    /// One is missing.
    pub(super) fn check_removed(&self, plan: &Plan) -> Result<()> {
        let is_there = |id: &str| plan.step(id).is_some_and(|step| step.driver.spec().role == Role::Write);
        let written = self.steps.iter().filter(|entry| {
            entry.role == Role::Write && (entry.status.is_done() || entry.status == StepStatus::Ambiguous)
        });
        let begun = self.recorded.commits.iter().filter(|commit| commit.end != Some(CommitEnd::NotCommitted));
        let mut ids = written.map(|entry| entry.id.as_str()).chain(begun.map(|commit| commit.record.step.as_str()));
        let Some(removed) = ids.find(|id| !is_there(id)).filter(|_| !self.options.force) else { return Ok(()) };
        Err(Error::validation(format!(
            "step `{removed}` of run {} has written, and is no longer in the pipeline",
            self.run
        ))
        .with_code(Code::NotResumable)
        .with_hint("restore it under its name to resume the run; `--force` resumes the run without it, which may write its rows twice"))
    }

    /// Checks that every step that the user has confirmed exists and writes.
    ///
    /// # Errors
    /// One does not.
    pub(super) fn check_assumed(&self, plan: &Plan) -> Result<()> {
        let writes = |id: &str| plan.step(id).is_some_and(|step| step.driver.spec().role == Role::Write);
        let Some(other) = self.options.assume_written.iter().find(|id| !writes(id)) else { return Ok(()) };
        Err(Error::validation(format!("the pipeline has no step `{other}` that writes"))
            .with_hint("`osiris runs show` names the step whose outcome is unknown"))
    }

    /// What is to be done about a step that writes.
    ///
    /// # Errors
    /// It has written, or may have, and cannot be taken over as it is; or it was assumed to have written, and is not
    /// ambiguous.
    pub(super) async fn decide(&self, query: &WriteQuery<'_>) -> Result<Decision> {
        let step = &query.request.step_id;
        let state = self.state(query).await;
        let decided = if self.options.assume_written.contains(step) {
            state.and_then(|state| self.assume(state, step))
        } else {
            match state {
                Ok(WriteState::Done(counts)) => Ok(Decision::Done(counts)),
                Ok(WriteState::Confirmed(confirmation)) => Ok(Decision::Confirmed(confirmation)),
                Ok(WriteState::NotDone) => Ok(Decision::Run),
                Ok(WriteState::Ambiguous(_)) | Err(_) if self.options.force => self.force(step),
                Ok(WriteState::Ambiguous(error)) | Err(error) => Err(error),
            }
        };
        decided.map_err(|error| error.with_step(step))
    }

    /// Records what the user confirms, once the run is known to be resumable.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn record(&self, step: &str, fingerprint: &str, confirmation: &Confirmation) -> Result<()> {
        if self.recorded.confirmed.contains_key(step) {
            return Ok(());
        }
        self.file.confirm(step, Some(fingerprint), confirmation)
    }

    /// The user has confirmed that its rows are there.
    fn assume(&self, state: WriteState, step: &str) -> Result<Decision> {
        let why = match state {
            WriteState::Confirmed(confirmation) => return Ok(Decision::Confirmed(confirmation)),
            WriteState::Ambiguous(_) => {
                return Ok(Decision::Confirmed(Confirmation::now(self.options.user.as_deref())));
            }
            WriteState::Done(_) => "has written its rows",
            WriteState::NotDone => "has not written, or its write can be repeated safely",
        };
        Err(Error::validation(format!("its outcome is not ambiguous: it {why}"))
            .with_hint(format!("resume without `--assume-written {step}`")))
    }

    /// The user wants it to run, whatever is there.
    fn force(&self, step: &str) -> Result<Decision> {
        for commit in self.commits_of(step) {
            self.file.dismiss(commit.id)?;
        }
        if self.recorded.confirmed.contains_key(step) {
            self.file.withdraw(step)?;
        }
        Ok(Decision::Run)
    }

    async fn state(&self, query: &WriteQuery<'_>) -> Result<WriteState> {
        let step = &query.request.step_id;
        if let Some((fingerprint, confirmation)) = self.recorded.confirmed.get(step) {
            self.refuse_changes(query, fingerprint.as_deref(), "has written already, as was confirmed")?;
            return Ok(WriteState::Confirmed(confirmation.clone()));
        }
        let entry = self.steps.iter().find(|entry| entry.id == *step && entry.role == Role::Write);
        if let Some(entry) = entry.filter(|entry| entry.status.is_done()) {
            self.refuse_changes(query, Some(&entry.fingerprint), "has written already")?;
            return Ok(WriteState::Done(entry.counts.clone()));
        }
        let was_ambiguous = entry.is_some_and(|entry| entry.status == StepStatus::Ambiguous);
        let commits: Vec<&PastCommit> = self.commits_of(step).collect();
        let is_unsettled = |commit: &&&PastCommit| {
            !commit.record.intent.is_repeatable() && commit.end != Some(CommitEnd::NotCommitted)
        };
        let Some(unsettled) = commits.iter().rev().find(is_unsettled) else {
            if was_ambiguous && commits.iter().all(|commit| !commit.record.intent.is_repeatable()) {
                let what = "may have written already: its outcome was ambiguous";
                return Ok(self.ambiguous(query, what, "its destination"));
            }
            return Ok(WriteState::NotDone);
        };
        self.refuse_changes(query, unsettled.record.fingerprint.as_deref(), "may have written already")?;
        let place = unsettled.record.intent.destination();
        if was_ambiguous && commits.iter().all(|commit| commit.end.is_some()) {
            return Ok(self.ambiguous(query, "has written already, and its ledger did not balance", place));
        }
        self.ask(&commits, query).await
    }

    /// Asks for the outcome of every commit without one.
    async fn ask(&self, commits: &[&PastCommit], query: &WriteQuery<'_>) -> Result<WriteState> {
        let (mut committed, mut undone) = (None, false);
        for commit in commits.iter().filter(|commit| !commit.record.intent.is_repeatable()) {
            let end = match commit.end {
                Some(end) => end,
                None => match self.outcome(commit, query).await? {
                    Ok(end) => end,
                    Err(unknown) => return Ok(unknown),
                },
            };
            match end {
                CommitEnd::Committed { written } => {
                    committed = Some((commit, written));
                    undone = false;
                }
                CommitEnd::NotCommitted => undone = true,
            }
        }
        let Some((commit, written)) = committed else { return Ok(WriteState::NotDone) };
        let place = commit.record.intent.destination();
        if undone {
            return Ok(self.ambiguous(query, "has written some of its rows already", place));
        }
        let counts = commit.record.counts(written);
        match counts.filter(|counts| counts.imbalance(Role::Write).is_none()) {
            Some(counts) => Ok(WriteState::Done(counts)),
            None => Ok(self.ambiguous(query, "has written already, but its rows were not all counted", place)),
        }
    }

    /// The outcome of a commit as its destination reports it, or the error if it cannot tell.
    async fn outcome(&self, commit: &PastCommit, query: &WriteQuery<'_>) -> Result<Result<CommitEnd, WriteState>> {
        let intent = &commit.record.intent;
        let what = "may have written already: it is not known whether it did";
        let unknown = || self.refused(&query.request.step_id, what, intent.destination());
        let end = match query.step.prepared.outcome(query.request, intent, query.inputs, query.ctx).await {
            Ok(CommitOutcome::Committed { written }) => CommitEnd::Committed { written },
            Ok(CommitOutcome::NotCommitted) => CommitEnd::NotCommitted,
            Ok(CommitOutcome::Unknown) => return Ok(Err(WriteState::Ambiguous(unknown()))),
            Err(error) => {
                let refused = query.step.name_connection(unknown());
                return Ok(Err(WriteState::Ambiguous(refused.with_source(error))));
            }
        };
        self.file.end_past(commit.id, end)?;
        Ok(Ok(end))
    }

    fn commits_of(&self, step: &str) -> impl Iterator<Item = &PastCommit> {
        self.recorded.commits.iter().filter(move |commit| commit.record.step == step)
    }

    /// A write is reused only if nothing has changed since.
    fn refuse_changes(&self, query: &WriteQuery<'_>, before: Option<&str>, what: &str) -> Result<()> {
        let why = if before != query.request.fingerprint.as_deref() {
            "the step, or one that it reads, has changed since"
        } else if !query.inputs_kept {
            "the rows that it wrote are no longer there: their table is gone, or a file that it reads was changed"
        } else {
            return Ok(());
        };
        Err(Error::validation(format!("{what}, and {why}")).with_code(Code::NotResumable).with_hint(format!(
            "undo the change to resume run {}; `--force` runs the step again, which may write its rows twice",
            self.run
        )))
    }

    fn ambiguous(&self, query: &WriteQuery<'_>, what: &str, place: &str) -> WriteState {
        WriteState::Ambiguous(self.refused(&query.request.step_id, what, place))
    }

    fn refused(&self, step: &str, what: &str, place: &str) -> Error {
        let run = self.run;
        Error::validation(what.to_owned()).with_code(Code::OutcomeUnknown).with_hint(format!(
            "check whether its rows are in {place}: if all are there, `osiris run --resume {run} --assume-written {step}` goes \
             on without writing them; if none is, or you have removed those that are, `osiris run --resume {run} --force` writes them"
        ))
    }
}

//! What a resumed run knows of the writes of the run before it: done, not done, or unknown until the destination says.

use osiris_core::{
    CommitEnd, CommitOutcome, Error, ExecutionContext, Inputs, PreparedStep, Result, Role, StepCounts, StepRequest,
};

use super::commits::{self, CommitFile, PastCommit};
use super::ledger::LedgerStep;
use super::past::PastRun;
use super::report::StepStatus;
use crate::Plan;

/// What is to be done about a write.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// It is done: these are its lines of the ledger.
    Done(StepCounts),
    /// It has not taken place, or may take place again.
    Run,
}

/// The writes of a run that is resumed.
pub(super) struct PastWrites<'a> {
    run: &'a str,
    steps: &'a [LedgerStep],
    commits: Vec<PastCommit>,
    file: &'a CommitFile,
    force: bool,
}

/// The step about which there is a question, as it would run now.
pub(super) struct Asked<'a> {
    pub(super) step: &'a dyn PreparedStep,
    pub(super) request: &'a StepRequest,
    pub(super) inputs: &'a Inputs,
    /// Whether the tables it reads are those that it read before.
    pub(super) inputs_kept: bool,
    pub(super) ctx: &'a ExecutionContext,
}

impl<'a> PastWrites<'a> {
    /// Those of `past`, to be recorded on in `file`. With `force` the user answers for what nobody knows.
    ///
    /// # Errors
    /// The record of commits cannot be read.
    pub(super) fn of(past: &'a PastRun, file: &'a CommitFile, force: bool) -> Result<Self> {
        let steps = past.ledger().map_or(&[][..], |ledger| &ledger.steps);
        Ok(Self { run: &past.record().run_id, steps, commits: commits::read(past.directory())?, file, force })
    }

    /// A step that has written, or may have, is still in the plan: under another name it would write again.
    ///
    /// # Errors
    /// One is not.
    pub(super) fn check_removed(&self, plan: &Plan) -> Result<()> {
        let is_there = |id: &str| plan.step(id).is_some_and(|step| step.driver.spec().role == Role::Write);
        let written = self.steps.iter().filter(|entry| {
            entry.role == Role::Write
                && matches!(entry.status, StepStatus::Done | StepStatus::Reused | StepStatus::Ambiguous)
        });
        let begun = self.commits.iter().filter(|commit| commit.end != Some(CommitEnd::NotCommitted));
        let mut ids = written.map(|entry| entry.id.as_str()).chain(begun.map(|commit| commit.record.step.as_str()));
        let Some(removed) = ids.find(|id| !is_there(id)).filter(|_| !self.force) else { return Ok(()) };
        Err(Error::validation(format!(
            "step `{removed}` of run {} has written, and is no longer in the pipeline",
            self.run
        ))
        .with_hint("put it back under its name to go on; `--force` goes on without it, which may write its rows twice"))
    }

    /// What is to be done about a step that writes.
    ///
    /// # Errors
    /// It has written, or may have, and cannot be taken over as it is.
    pub(super) async fn decide(&self, asked: &Asked<'_>) -> Result<Decision> {
        let decided = self.decide_unforced(asked).await;
        if decided.is_ok() || !self.force {
            return decided.map_err(|error| error.with_step(&asked.request.step_id));
        }
        for commit in self.commits_of(&asked.request.step_id) {
            self.file.dismiss(commit.id)?;
        }
        Ok(Decision::Run)
    }

    async fn decide_unforced(&self, asked: &Asked<'_>) -> Result<Decision> {
        let entry = self.steps.iter().find(|entry| entry.id == asked.request.step_id && entry.role == Role::Write);
        let done = entry.filter(|entry| matches!(entry.status, StepStatus::Done | StepStatus::Reused));
        if let Some(entry) = done {
            self.refuse_changes(asked, Some(&entry.fingerprint), "has written already")?;
            return Ok(Decision::Done(entry.counts.clone()));
        }
        let was_ambiguous = entry.is_some_and(|entry| entry.status == StepStatus::Ambiguous);
        let commits: Vec<&PastCommit> = self.commits_of(&asked.request.step_id).collect();
        let is_unsettled = |commit: &&&PastCommit| {
            !commit.record.intent.is_repeatable() && commit.end != Some(CommitEnd::NotCommitted)
        };
        let Some(unsettled) = commits.iter().rev().find(is_unsettled) else {
            if was_ambiguous && commits.iter().all(|commit| !commit.record.intent.is_repeatable()) {
                return Err(self.refused("may have written already: its outcome was ambiguous", "its destination"));
            }
            return Ok(Decision::Run);
        };
        self.refuse_changes(asked, unsettled.record.fingerprint.as_deref(), "may have written already")?;
        let place = unsettled.record.intent.destination();
        if was_ambiguous && commits.iter().all(|commit| commit.end.is_some()) {
            return Err(self.refused("has written already, and its ledger did not balance", place));
        }
        self.ask(&commits, asked).await
    }

    /// Asks about every commit without an answer.
    async fn ask(&self, commits: &[&PastCommit], asked: &Asked<'_>) -> Result<Decision> {
        let (mut committed, mut undone) = (None, false);
        for commit in commits.iter().filter(|commit| !commit.record.intent.is_repeatable()) {
            let end = match commit.end {
                Some(end) => end,
                None => self.outcome(commit, asked).await?,
            };
            match end {
                CommitEnd::Committed { written } => {
                    committed = Some((commit, written));
                    undone = false;
                }
                CommitEnd::NotCommitted => undone = true,
            }
        }
        let Some((commit, written)) = committed else { return Ok(Decision::Run) };
        let place = commit.record.intent.destination();
        if undone {
            return Err(self.refused("has written some of its rows already", place));
        }
        let counts = commit.record.counts(written);
        match counts.filter(|counts| counts.imbalance(Role::Write).is_none()) {
            Some(counts) => Ok(Decision::Done(counts)),
            None => Err(self.refused("has written already, but its rows were not all counted", place)),
        }
    }

    async fn outcome(&self, commit: &PastCommit, asked: &Asked<'_>) -> Result<CommitEnd> {
        let intent = &commit.record.intent;
        let unknown = || self.refused("may have written already: it is not known whether it did", intent.destination());
        let end = match asked.step.outcome(asked.request, intent, asked.inputs, asked.ctx).await {
            Ok(CommitOutcome::Committed { written }) => CommitEnd::Committed { written },
            Ok(CommitOutcome::NotCommitted) => CommitEnd::NotCommitted,
            Ok(CommitOutcome::Unknown) => return Err(unknown()),
            Err(error) => return Err(unknown().with_source(error)),
        };
        self.file.end_past(commit.id, end)?;
        Ok(end)
    }

    fn commits_of(&self, step: &str) -> impl Iterator<Item = &PastCommit> {
        self.commits.iter().filter(move |commit| commit.record.step == step)
    }

    /// A write is taken over only as it was.
    fn refuse_changes(&self, asked: &Asked<'_>, before: Option<&str>, what: &str) -> Result<()> {
        let why = if before != asked.request.fingerprint.as_deref() {
            "the step, or one that it reads, has changed since"
        } else if !asked.inputs_kept {
            "the table that it wrote is no longer there"
        } else {
            return Ok(());
        };
        Err(Error::validation(format!("{what}, and {why}")).with_hint(format!(
            "undo the change to go on with run {}; `--force` runs the step again, which may write its rows twice",
            self.run
        )))
    }

    fn refused(&self, what: &str, place: &str) -> Error {
        Error::validation(what.to_owned()).with_hint(format!(
            "look whether its rows are in {place}: only if they are not, `osiris run --resume {} --force` writes them",
            self.run
        ))
    }
}

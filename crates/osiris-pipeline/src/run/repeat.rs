//! Whether a new run would write rows again that an earlier, failed run has written or may have.

use osiris_core::{Code, CommitEnd, Error, Result};

use super::commits::{self, PastCommit};
use super::outcome::Outcome;
use super::past::{PastRun, Runs};
use crate::Plan;

/// Refuses `plan` when one of its runs since the last successful one has written rows that would be written twice.
///
/// # Errors
/// There is such a run, or what it was writing cannot be read.
pub(super) fn refuse(runs: &Runs, plan: &Plan) -> Result<()> {
    let path = plan.pipeline().source.path();
    let own = |run: &PastRun| {
        let record = run.record();
        let same_file = path.is_none_or(|path| record.file.is_none() || run.is_of(path));
        !record.dry_run && record.pipeline == plan.name() && same_file
    };
    let runs = runs.list()?;
    for run in runs.iter().filter(|run| own(run)).take_while(|run| run.outcome() != Outcome::Done) {
        let commits = commits::read(run.directory())?.commits;
        let doubles = |commit: &&PastCommit| would_double(commit) && !writes_to_stream(plan, &commit.record.step);
        if let Some(commit) = commits.iter().find(doubles) {
            return Err(refused(run, commit));
        }
    }
    Ok(())
}

/// Whether a run has written, or may have, what a new one would write again. Where that cannot be read, it has.
pub(super) fn has_unrepeatable_commits(run: &PastRun) -> bool {
    commits::read(run.directory()).map_or(true, |past| past.commits.iter().any(would_double))
}

/// A commit of another attempt may have been undone; this one was not, as far as is known.
fn would_double(commit: &PastCommit) -> bool {
    !commit.record.intent.is_repeatable() && commit.end != Some(CommitEnd::NotCommitted)
}

/// Whether a step writes to a stream: that of a new run has another reader, who has none of the rows yet.
fn writes_to_stream(plan: &Plan, step: &str) -> bool {
    let destination = plan.step(step).and_then(|step| step.prepared.destination());
    destination.is_some_and(|destination| destination.kind() == "stream")
}

fn refused(run: &PastRun, commit: &PastCommit) -> Error {
    let id = &run.record().run_id;
    let (step, place) = (&commit.record.step, commit.record.intent.destination());
    let has = if commit.end.is_some() { "wrote" } else { "may have written" };
    let go_on = if run.has_store() && run.record().file.is_some() {
        format!("`osiris run --resume {id}` resumes it where it failed")
    } else {
        format!("check which rows are in {place}")
    };
    Error::validation(format!(
        "run {id} of this pipeline failed after its step `{step}` {has} to {place}: a new run would write those rows again"
    ))
    .with_code(Code::WrittenBefore)
    .with_hint(format!("{go_on}; `--force` starts a new run anyway"))
}

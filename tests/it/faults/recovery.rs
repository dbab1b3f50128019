//! What an operator does after a run that failed: what its messages say, until the rows are there.

use std::fmt::Write as _;

use osiris_e2e::Ended;

use super::runner::Runner;
use super::table::Table;
use super::tally::Row;
use super::target::{Mode, Target};

/// How often somebody tries before he gives up.
const TRIES: u32 = 5;

/// Who goes on with what failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// `osiris run --resume`.
    Resume,
    /// `osiris run`, once more, as a timer would.
    Again,
}

pub(super) const RECOVERIES: [Recovery; 2] = [Recovery::Resume, Recovery::Again];

/// A new run.
pub(super) const RUN: &[&str] = &["run", "pipeline.yaml"];
const RESUME: &[&str] = &["run", "--resume"];

impl Recovery {
    /// Tries until the program ends well, or says that nobody knows and a look at the destination shows that nothing is missing.
    /// Returns whether it ended with such a look: then no run has cleaned up after the one that failed.
    pub(super) async fn go_on(self, target: &Target, runner: &Runner<'_>, mode: Mode, row: &mut Row) -> bool {
        let mut next = match self {
            Self::Resume => RESUME,
            Self::Again => RUN,
        };
        for _ in 0..TRIES {
            let ended = runner.run(next);
            note(&mut row.log, &runner.words(next), &ended);
            if ended.code == 0 {
                return false;
            }
            // A new run may be refused because of the old one; who resumes has the destination looked at.
            row.gave_up |= next == RESUME && target.can_tell(mode) && ended.stderr.contains(NOT_KNOWN);
            if ended.stderr.contains("resumes it where it failed") {
                next = RESUME;
            } else if is_unknown(&ended) {
                // The message says: look whether the rows are there, and go on only if they are not.
                let before = Table::of(Table::before(mode));
                let found = target.read(runner.project, mode).await;
                if found.lost(&Table::after(mode)) == 0 {
                    let _ = writeln!(row.log, "the rows are there: done");
                    return true;
                }
                if found != before && !target.is_all_or_nothing(mode) {
                    // No transaction takes back what was written, and the message says so: only somebody can.
                    let _ = writeln!(row.log, "some of the rows are there: they are removed by hand");
                    target.reset(runner, mode).await;
                }
                next = match ended.stderr.contains("--resume") {
                    true => &["run", "--resume", "--force"],
                    false => &["run", "pipeline.yaml", "--force"],
                };
            } else if ended.code == 2 {
                // There is nothing to resume: begin again.
                next = RUN;
            }
        }
        let _ = writeln!(row.log, "gave up after {TRIES} tries");
        false
    }
}

const NOT_KNOWN: &str = "it is not known whether";

/// Whether the program says that it does not know, or must not say, whether rows were written.
fn is_unknown(ended: &Ended) -> bool {
    ended.code == 3 || ended.stderr.contains("--force")
}

/// Adds a command and the end of what it printed to the log of a trial.
pub(super) fn note(log: &mut String, words: &[&str], ended: &Ended) {
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let last = &lines[lines.len().saturating_sub(14)..];
    let last: String = last.iter().map(|line| format!("    {line}\n")).collect();
    let _ = writeln!(log, "$ osiris {} -> {}\n{last}", words.join(" "), ended.code);
}

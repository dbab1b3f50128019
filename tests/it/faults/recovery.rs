//! What an operator does after a run that failed: what its messages say, until the rows are there.

use std::fmt::Write as _;

use osiris_e2e::{Ended, Project};

use super::table::Table;
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

impl Recovery {
    /// Tries until the program ends well, or says that nobody knows and a look at the destination shows that nothing is missing.
    pub(super) async fn go_on(
        self,
        target: &Target,
        project: &Project,
        mode: Mode,
        options: &[&str],
        story: &mut String,
    ) {
        let mut first = match self {
            Self::Resume => vec!["run", "--resume"],
            Self::Again => vec!["run", "pipeline.yaml"],
        };
        for _ in 0..TRIES {
            first.extend(options);
            let ended = project.run(&first);
            let _ = writeln!(story, "$ osiris {} -> {}\n{}", first.join(" "), ended.code, last_lines(&ended));
            if ended.code == 0 {
                return;
            }
            if is_unknown(&ended) {
                // The message says: look whether the rows are there, and go on only if they are not.
                let before = Table::of(Table::before(mode));
                let found = target.read(project, mode).await;
                if found.lost(&Table::after(mode)) == 0 {
                    let _ = writeln!(story, "the rows are there: done");
                    return;
                }
                if found != before && !target.is_all_or_nothing(mode) {
                    // No transaction takes back what was written, and the message says so: only somebody can.
                    let _ = writeln!(story, "some of the rows are there: they are removed by hand");
                    target.reset(project, mode).await;
                }
                first = if ended.stderr.contains("resumes it where it failed") {
                    vec!["run", "--resume"]
                } else if ended.stderr.contains("--resume") {
                    vec!["run", "--resume", "--force"]
                } else {
                    vec!["run", "pipeline.yaml", "--force"]
                };
            } else if ended.code == 2 {
                // There is nothing to resume: begin again.
                first = vec!["run", "pipeline.yaml"];
            }
        }
        let _ = writeln!(story, "gave up after {TRIES} tries");
    }
}

/// Whether the program says that it does not know, or must not say, whether rows were written.
fn is_unknown(ended: &Ended) -> bool {
    ended.code == 3 || ended.stderr.contains("--force")
}

/// The end of what a person reads.
pub(super) fn last_lines(ended: &Ended) -> String {
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let last = &lines[lines.len().saturating_sub(14)..];
    last.iter().map(|line| format!("    {line}\n")).collect()
}

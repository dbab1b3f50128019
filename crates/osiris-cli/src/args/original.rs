//! Commands that are not ours: the error names the one that does it here.

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue};
use osiris::core::problem::nearest;

use super::Cli;

/// What the original Osiris calls it, or where somebody looks for it, and what it is here.
const COMMANDS: [(&str, &str); 8] = [
    ("oml", "`osiris validate PIPELINE` checks a pipeline"),
    ("logs", "`osiris runs list` and `osiris runs show` show past runs"),
    ("--last-compile", "`osiris run PIPELINE` compiles and runs a pipeline"),
    ("doctor", "`osiris connections doctor` checks connections"),
    ("rejects", "`osiris runs rejects` shows the rejected rows of a run"),
    ("clean", "`osiris runs clean` removes old runs"),
    ("reset", "`osiris state reset PIPELINE` removes the saved state of a pipeline"),
    ("resume", "`osiris run PIPELINE --resume RUN` resumes a run"),
];

/// The error with a tip, where a word of the command line is one of these; else with the nearest command alone.
pub(crate) fn with_our_command(mut error: clap::Error) -> clap::Error {
    let words = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg];
    let word = words.into_iter().find_map(|kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        _ => None,
    });
    let ours = COMMANDS.iter().find(|(theirs, _)| word.as_deref() == Some(*theirs)).map(|(_, ours)| *ours);
    if let Some(ours) = ours {
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![ours.into()]));
    } else if let (Some(_), Some(word)) = (error.get(ContextKind::SuggestedSubcommand), &word)
        && let Some(command) = nearest_command(word)
    {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![command]));
    }
    error
}

fn nearest_command(word: &str) -> Option<String> {
    let cli = Cli::command();
    nearest(word, cli.get_subcommands().map(clap::Command::get_name)).map(str::to_owned)
}

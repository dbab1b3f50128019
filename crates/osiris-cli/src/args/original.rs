//! Command lines of the original Osiris: the error names the command that does it here.

use clap::error::{ContextKind, ContextValue};

/// What the original calls it, and what it is here.
const COMMANDS: [(&str, &str); 3] = [
    ("oml", "`osiris validate PIPELINE` checks a pipeline"),
    ("logs", "`osiris runs list` and `osiris runs show` show past runs"),
    ("--last-compile", "`osiris run PIPELINE` compiles and runs a pipeline"),
];

/// The error with a tip, where a word of the command line is one of the original's.
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
    }
    error
}

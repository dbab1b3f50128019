//! The failure of a command.

use osiris::core::Code;
use osiris::pipeline::{Diagnostic, ExitCode, error_json, failure_document};
use osiris::{Diagnostics, Error};
use serde_json::{Value, json};

/// A failure to be shown to the user, with its exit code.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// Invalid files or arguments.
    Diagnostics(Diagnostics),
    /// Any other refusal.
    Refused(Error),
    /// A run that could not start or continue although its plan is valid.
    Run(Error),
}

impl CommandError {
    /// That of a plan whose sources were asked for their tables.
    pub(crate) fn of_plan(error: Error) -> Self {
        match Diagnostics::of_error(&error) {
            Some(diagnostics) => Self::Diagnostics(diagnostics.clone()),
            None => Self::Run(error),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Diagnostics(_) | Self::Refused(_) => ExitCode::Refused,
            Self::Run(error) => ExitCode::of_error(error),
        }
    }

    /// The kinds of mistakes.
    pub(crate) fn codes(&self) -> Vec<Code> {
        match self {
            Self::Diagnostics(diagnostics) => {
                diagnostics.iter().filter(|found| found.is_error()).filter_map(Diagnostic::code).collect()
            }
            Self::Refused(error) | Self::Run(error) => vec![error.code()],
        }
    }

    /// What is printed in the place of a result in JSON.
    pub(crate) fn to_json(&self) -> Value {
        let diagnostics = match self {
            Self::Diagnostics(diagnostics) => diagnostics.to_json(),
            Self::Refused(error) | Self::Run(error) => json!([error_json(error)]),
        };
        failure_document(self.exit_code().code(), diagnostics)
    }
}

impl From<Diagnostics> for CommandError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Diagnostics(diagnostics)
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(error.into())
    }
}

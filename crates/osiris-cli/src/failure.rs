//! Why a command ended before its work was done.

use osiris::pipeline::ExitCode;
use osiris::{Diagnostics, Error};

/// What is shown to the user, and the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Files or choices that are wrong.
    Diagnostics(Diagnostics),
    /// Anything else that was refused.
    Refused(Error),
    /// A run that could not begin or go on, although nothing was wrong with the plan.
    Run(Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Diagnostics(_) | Self::Refused(_) => ExitCode::Refused,
            Self::Run(error) => ExitCode::of_error(error),
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Diagnostics(diagnostics)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(error.into())
    }
}

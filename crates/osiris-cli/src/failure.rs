//! Why a command ended before its work was done.

use osiris::{Diagnostics, Error, ErrorKind};

/// The exit code of what is refused before any step runs.
pub(crate) const REFUSED: u8 = 2;

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
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Diagnostics(_) | Self::Refused(_) => REFUSED,
            Self::Run(error) if error.is_retryable() => 4,
            Self::Run(error) => match error.kind() {
                ErrorKind::Validation | ErrorKind::Permission => REFUSED,
                ErrorKind::Integrity => 3,
                ErrorKind::Cancelled => 130,
                _ => 1,
            },
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

//! The exit codes of the program, in one table: what a script may rely on.

use osiris_core::{Error, ErrorKind};

use crate::run::Outcome;

/// Why a command ended. The number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// It did what was asked.
    Done = 0,
    /// A step failed permanently, or the program has a bug.
    Failed = 1,
    /// It was refused before any step ran: the command line, the pipeline, a connection, a right that is missing.
    Refused = 2,
    /// The ledger does not balance, an assertion failed, too many rows were rejected, or nobody knows whether rows were
    /// written.
    Integrity = 3,
    /// A later try may succeed: network, timeout, rate limit, a lock that another run holds.
    TryLater = 4,
    /// It was interrupted.
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The code of a command that could not begin its work, or not go on with it, before any step has a result.
    pub fn of_error(error: &Error) -> Self {
        if error.is_retryable() {
            return Self::TryLater;
        }
        match error.kind() {
            ErrorKind::Validation | ErrorKind::Permission => Self::Refused,
            ErrorKind::Integrity | ErrorKind::Ambiguous => Self::Integrity,
            ErrorKind::Cancelled => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Failed | Outcome::Running => Self::Failed,
            Outcome::Integrity | Outcome::Ambiguous => Self::Integrity,
            Outcome::TryLater => Self::TryLater,
            Outcome::Interrupted => Self::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_before_any_step_has_the_code_of_its_kind() {
        let of = |error: Error| ExitCode::of_error(&error).code();
        assert_eq!(of(Error::validation("x")), 2);
        assert_eq!(of(Error::permission("x")), 2);
        assert_eq!(of(Error::integrity("x")), 3);
        assert_eq!(of(Error::network("x")), 4);
        assert_eq!(of(Error::timeout("x")), 4);
        assert_eq!(of(Error::unknown("x")), 1);
    }
}

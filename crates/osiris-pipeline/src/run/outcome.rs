//! How a run ended, and the exit code that says so.

use osiris_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::report::StepReport;
use crate::ExitCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still running, or killed.
    Running,
    /// Every step succeeded and the ledger balances. Exit code 0.
    Done,
    /// A step failed permanently. Exit code 1.
    Failed,
    /// The ledger does not balance, an assertion failed, too many rows were rejected. Exit code 3.
    Integrity,
    /// It is unknown whether a step has written its rows. Exit code 3.
    Ambiguous,
    /// A step failed, and a later try may succeed: network, timeout, rate limit. Exit code 4.
    TryLater,
    /// The user stopped it. Exit code 130.
    Interrupted,
}

impl Outcome {
    /// Of `steps`, and an `error` that is not of one of them.
    pub(super) fn of(steps: &[StepReport], error: Option<&Error>, problems: &[String], cancelled: bool) -> Self {
        let errors = || steps.iter().filter_map(|step| step.error.as_ref()).chain(error);
        if errors().any(|error| error.kind() == ErrorKind::Ambiguous) {
            return Self::Ambiguous;
        }
        if errors().any(|error| error.kind() == ErrorKind::Integrity) {
            return Self::Integrity;
        }
        if errors().any(|error| error.kind() != ErrorKind::Cancelled && !error.is_retryable()) {
            return Self::Failed;
        }
        if errors().any(|error| error.kind() != ErrorKind::Cancelled) {
            return Self::TryLater;
        }
        let ended = steps.iter().all(|step| step.status.is_done());
        match (ended, problems.is_empty()) {
            (true, true) => Self::Done,
            (true, false) => Self::Integrity,
            (false, _) if cancelled => Self::Interrupted,
            (false, _) => Self::Failed,
        }
    }

    /// The exit code of `osiris run`.
    pub fn exit_code(self) -> u8 {
        ExitCode::from(self).code()
    }

    /// One word for files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Integrity => "integrity",
            Self::Ambiguous => "ambiguous",
            Self::TryLater => "try_later",
            Self::Interrupted => "interrupted",
        }
    }

    /// The same for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::TryLater => "failed (retryable)",
            other => other.as_str(),
        }
    }
}

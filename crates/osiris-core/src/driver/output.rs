//! What running a step returns.

use std::time::Duration;

use serde_json::Value;

use crate::{Error, StepCounts, TableRef};

/// A step that ended well [DRV-002].
#[derive(Debug, Clone)]
pub struct StepOutput {
    /// Its table; a writer has none.
    pub table: Option<TableRef>,
    /// Its rows: stored by an extraction or transformation, acknowledged for a write.
    pub rows: u64,
    /// The state to save once every step downstream has ended well too.
    pub state: Option<Value>,
    /// Its lines of the ledger.
    pub counts: StepCounts,
    /// How long it took, all attempts and delays included.
    pub duration: Duration,
    /// How often it was tried in the run.
    pub attempts: u32,
    /// How long was waited between these attempts.
    pub waited: Duration,
}

/// A step that did not.
#[derive(Debug)]
pub struct StepFailure {
    /// Why; redacted.
    pub error: Error,
    /// What had been counted by then, rejects above all.
    pub counts: StepCounts,
    /// How long it took.
    pub duration: Duration,
    /// How often it was tried in the run.
    pub attempts: u32,
    /// How long was waited between these attempts.
    pub waited: Duration,
    /// Whether rows of it may be in the destination all the same: of an error that is not
    /// [ambiguous](crate::ErrorKind::Ambiguous), only if writing them again does no harm.
    pub may_have_written: bool,
}

impl From<StepFailure> for Error {
    fn from(failure: StepFailure) -> Self {
        failure.error
    }
}

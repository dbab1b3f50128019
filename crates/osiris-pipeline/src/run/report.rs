//! What a run returns, step by step.

use std::path::PathBuf;
use std::time::Duration;

use osiris_core::{Error, ErrorKind, RejectFile, RejectReason, Result, Role, StepCounts};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::confirmation::Confirmation;
use super::ledger::StepColumn;
use super::outcome::Outcome;
use crate::PlannedStep;
use crate::group::GroupMember;

/// A run that has ended.
#[derive(Debug)]
pub struct RunReport {
    /// Its id.
    pub run_id: String,
    /// Its directory.
    pub directory: PathBuf,
    /// How it ended.
    pub outcome: Outcome,
    /// Its steps, in the order of the plan.
    pub steps: Vec<StepReport>,
    /// How long it took.
    pub duration: Duration,
    /// What is wrong with the ledger or the records although no step failed.
    pub problems: Vec<String>,
    /// Warnings that do not affect the result.
    pub warnings: Vec<String>,
}

/// The status of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// It succeeded.
    Done,
    /// It had succeeded in the resumed run.
    Reused,
    /// It failed.
    Failed,
    /// It was never started, because another one failed or the run was stopped.
    Skipped,
    /// It was stopped.
    Cancelled,
    /// It is unknown whether it has written its rows.
    Ambiguous,
    /// It was ambiguous, and the user has confirmed that its rows are in the destination; they were not counted.
    Confirmed,
}

impl StepStatus {
    /// That of a step which ended in an error.
    pub(super) fn of_error(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::Ambiguous => Self::Ambiguous,
            _ => Self::Failed,
        }
    }

    /// Whether what the step was to do has been done, in this run or before.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::Reused | Self::Confirmed)
    }
}

/// One step of a run that has ended.
#[derive(Debug)]
pub struct StepReport {
    /// Its id.
    pub id: String,
    /// Its component.
    pub component: String,
    /// What it does with tables.
    pub role: Role,
    /// Its status.
    pub status: StepStatus,
    /// Its lines of the ledger.
    pub counts: StepCounts,
    /// Its rows: stored or acknowledged.
    pub rows: u64,
    /// How long it took.
    pub duration: Duration,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it failed; redacted.
    pub error: Option<Error>,
    /// Whether rows of it may be in its destination although it failed. If it is not ambiguous, the write can be
    /// repeated safely.
    pub may_have_written: bool,
    /// Who confirmed that its rows are there; only for a confirmed step.
    pub confirmed: Option<Confirmation>,
    /// The file with its rejected rows.
    pub rejects: Option<PathBuf>,
    /// The most frequent reasons why rows were rejected, up to five.
    pub reject_reasons: Vec<RejectReason>,
    /// The time from the start of the run to its own start.
    pub offset: Duration,
    /// The steps whose tables it read.
    pub upstream: Vec<String>,
    /// The steps that it waited for, whether it read their tables or not.
    pub needs: Vec<String>,
    /// Its place in a group of steps that were made of one step of the file.
    pub group: Option<GroupMember>,
    /// The columns of its table, once it has made it; redacted.
    pub columns: Vec<StepColumn>,
    /// What the next run starts from.
    pub(super) state: Option<Value>,
    /// What its table depends on.
    pub(super) fingerprint: String,
}

impl StepReport {
    /// Its rejected rows; none where it rejected none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open_rejects(&self) -> Result<Option<RejectFile>> {
        self.rejects.as_deref().map(RejectFile::open).transpose()
    }

    /// A step that has not run.
    pub(super) fn skipped(step: &PlannedStep) -> Self {
        Self {
            id: step.id.clone(),
            component: step.driver.spec().name.to_owned(),
            role: step.driver.spec().role,
            status: StepStatus::Skipped,
            counts: StepCounts::default(),
            rows: 0,
            duration: Duration::ZERO,
            attempts: 0,
            error: None,
            may_have_written: false,
            confirmed: None,
            rejects: None,
            reject_reasons: Vec::new(),
            offset: Duration::ZERO,
            upstream: step.upstream.iter().map(|(_, step)| step.clone()).collect(),
            needs: step.dependencies.clone(),
            group: step.group.clone(),
            columns: Vec::new(),
            state: None,
            fingerprint: step.request.fingerprint.clone().unwrap_or_default(),
        }
    }
}

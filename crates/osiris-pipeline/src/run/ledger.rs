//! The ledger of a run: every row accounted for, written to `ledger.json` after each step.

use osiris_core::{Column, Redactor, RejectReason, Role, StepCounts, shorten};
use serde::{Deserialize, Serialize};

use super::confirmation::Confirmation;
use super::report::{StepReport, StepStatus};
use crate::group::GroupMember;

/// The ledger of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The run.
    pub run_id: String,
    /// The pipeline.
    pub pipeline: String,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// Whether every equation holds. A confirmed step has none.
    pub balanced: bool,
    /// The steps, in the order of the plan.
    pub steps: Vec<LedgerStep>,
}

/// How much of the name of a type is kept: that of an ENUM holds all its values.
const LONGEST_TYPE: usize = 200;

/// A column of the table that a step made; redacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepColumn {
    /// Its name.
    pub name: String,
    /// Its type, as the run store calls it.
    #[serde(rename = "type")]
    pub column_type: String,
}

impl StepColumn {
    /// SQL names a column without an alias by its expression, which may hold a secret.
    pub(super) fn new(column: &Column, redactor: &Redactor) -> Self {
        let column_type = column.column_type.to_string();
        Self {
            name: redactor.scrub(&column.name).into_owned(),
            column_type: shorten(&redactor.scrub(&column_type), LONGEST_TYPE).into_owned(),
        }
    }
}

/// The lines of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerStep {
    /// The step.
    pub id: String,
    /// Its component.
    pub component: String,
    /// What it does with tables.
    pub role: Role,
    /// Its status.
    pub status: StepStatus,
    /// The steps whose tables it read.
    pub upstream: Vec<String>,
    /// The steps that it waited for, whether it read their tables or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The counts.
    #[serde(flatten)]
    pub counts: StepCounts,
    /// Milliseconds it took.
    pub duration_ms: u64,
    /// Milliseconds from the start of the run to its own.
    pub offset_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it failed.
    pub error: Option<String>,
    /// The kind of mistake, for `osiris explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Who confirmed that its rows are in the destination, where they could not be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmation>,
    /// The file with its rejected rows, in the run directory.
    pub rejects: Option<String>,
    /// The most frequent reasons why rows were rejected, up to five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reject_reasons: Vec<RejectReason>,
    /// Its place in a group of steps that were made of one step of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupMember>,
    /// The columns of its table, once it has made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<StepColumn>,
    /// What its result depends on: a resumed run repeats a step when this has changed.
    pub fingerprint: String,
}

impl Ledger {
    pub(super) fn of<'a>(
        run_id: &str,
        pipeline: &str,
        steps: impl IntoIterator<Item = &'a StepReport>,
        dry_run: bool,
    ) -> Self {
        let mut ledger = Self {
            run_id: run_id.to_owned(),
            pipeline: pipeline.to_owned(),
            dry_run,
            balanced: true,
            steps: steps.into_iter().map(LedgerStep::from).collect(),
        };
        ledger.balanced = ledger.problems().is_empty();
        ledger
    }

    /// What does not add up, in words: a step's own equation, or a step that did not get all rows of the one before it.
    /// Each step was checked when it ended; this is done again over the whole, from the counts alone.
    pub fn problems(&self) -> Vec<String> {
        if self.dry_run {
            return Vec::new();
        }
        let ended = |step: &&LedgerStep| matches!(step.status, StepStatus::Done | StepStatus::Reused);
        let own = self
            .steps
            .iter()
            .filter(ended)
            .filter_map(|step| Some(format!("step `{}`: {}", step.id, step.counts.imbalance(step.role)?)));
        let handed = self.steps.iter().filter(ended).filter_map(|step| self.handed_over(step));
        own.chain(handed).collect()
    }

    /// The error of a step, if it says why the run failed: a step that was stopped is not why, if another one failed.
    pub fn decisive_error<'a>(&self, step: &'a LedgerStep) -> Option<&'a str> {
        let failed = |step: &LedgerStep| matches!(step.status, StepStatus::Failed | StepStatus::Ambiguous);
        let is_why = failed(step) || !self.steps.iter().any(failed);
        step.error.as_deref().filter(|_| is_why)
    }

    /// A writer reads all rows of the step it writes.
    fn handed_over(&self, writer: &LedgerStep) -> Option<String> {
        let ([upstream], Role::Write) = (writer.upstream.as_slice(), writer.role) else { return None };
        let source = self.steps.iter().find(|step| step.id == *upstream)?;
        (source.counts.stored != writer.counts.read).then(|| {
            format!(
                "step `{}` read {} rows of the {} that step `{upstream}` stored",
                writer.id, writer.counts.read, source.counts.stored
            )
        })
    }
}

impl From<&StepReport> for LedgerStep {
    fn from(step: &StepReport) -> Self {
        Self {
            id: step.id.clone(),
            component: step.component.clone(),
            role: step.role,
            status: step.status,
            upstream: step.upstream.clone(),
            needs: step.needs.clone(),
            counts: step.counts.clone(),
            duration_ms: millis(step.duration),
            offset_ms: millis(step.offset),
            attempts: step.attempts,
            error: step.error.as_ref().map(osiris_core::Error::report),
            error_code: step.error.as_ref().map(|error| error.code().to_string()),
            confirmed: step.confirmed.clone(),
            rejects: step.rejects.as_ref().and_then(|path| Some(format!("rejects/{}", path.file_name()?.to_str()?))),
            reject_reasons: step.reject_reasons.clone(),
            group: step.group.clone(),
            columns: step.columns.clone(),
            fingerprint: step.fingerprint.clone(),
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, role: Role, upstream: &[&str], counts: StepCounts) -> LedgerStep {
        LedgerStep {
            id: id.to_owned(),
            component: "test.x".to_owned(),
            role,
            status: StepStatus::Done,
            upstream: upstream.iter().map(|id| (*id).to_owned()).collect(),
            needs: Vec::new(),
            counts,
            duration_ms: 0,
            offset_ms: 0,
            attempts: 1,
            error: None,
            error_code: None,
            confirmed: None,
            rejects: None,
            reject_reasons: Vec::new(),
            group: None,
            columns: Vec::new(),
            fingerprint: String::new(),
        }
    }

    fn problems(steps: Vec<LedgerStep>) -> Vec<String> {
        Ledger { run_id: String::new(), pipeline: String::new(), dry_run: false, balanced: true, steps }.problems()
    }

    #[test]
    fn rows_that_a_writer_never_read_are_found() {
        let read = StepCounts { read: 5, stored: 5, ..StepCounts::default() };
        let wrote = StepCounts { read: 4, inserted: 4, ..StepCounts::default() };
        let found = problems(vec![step("a", Role::Extract, &[], read), step("b", Role::Write, &["a"], wrote)]);
        assert_eq!(found, ["step `b` read 4 rows of the 5 that step `a` stored"]);
    }

    #[test]
    fn a_column_that_is_named_by_a_secret_is_masked() {
        let column = Column::new("'k3y-0123456789'", osiris_core::ColumnType::Varchar);
        let kept = StepColumn::new(&column, &Redactor::new(["k3y-0123456789"]));
        assert_eq!((kept.name.as_str(), kept.column_type.as_str()), ("'***'", "VARCHAR"));
    }

    #[test]
    fn a_balanced_run_has_no_problems() {
        let read = StepCounts { read: 5, stored: 4, rejected: 1, ..StepCounts::default() };
        let wrote = StepCounts { read: 4, inserted: 3, updated: 1, ..StepCounts::default() };
        let found = problems(vec![step("a", Role::Extract, &[], read), step("b", Role::Write, &["a"], wrote)]);
        assert_eq!(found, Vec::<String>::new());
    }
}

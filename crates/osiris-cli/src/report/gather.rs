//! From the records of a run to its report. They are read as `runs show` and `runs rejects` read them.

use std::time::Duration;

use osiris::core::{MASK, Role};
use osiris::pipeline::{AttemptEnd, LedgerStep, PastRun, RunHistory, StepAttempt, StepHistory, StepStatus};
use osiris::{Error, Outcome};

use super::{Report, ReportError, ReportStep, Status, StepRejects, Tone};
use crate::human;
use crate::table::{ledger_notes, rows_out, status_text, time_of};

/// How many reasons are counted of a step.
const REASONS: usize = 20;

/// How many rejected rows are shown of a step.
const ROWS: u64 = 20;

/// That of a step that has not begun.
const WAITING: Status = Status { text: "waiting", tone: Tone::Idle };

impl Report {
    /// Gathers it.
    ///
    /// # Errors
    /// The telemetry of the run is there and cannot be read.
    pub(crate) fn of(run: &PastRun) -> Result<Self, Error> {
        let (record, history) = (run.record(), run.history()?);
        let steps = steps(run, &history);
        let ends = steps.iter().flat_map(|step| &step.attempts);
        let end = ends.map(|attempt| attempt.offset_ms.saturating_add(attempt.duration_ms)).max().unwrap_or_default();
        let given = record.params.iter().map(|(name, value)| (name.clone(), value.clone()));
        let withheld = record.withheld.iter().map(|name| (name.clone(), MASK.to_owned()));
        let mut warnings = warnings(run, &history);
        let rejects = rejects(run, &mut warnings);
        Ok(Self {
            pipeline: record.pipeline.clone(),
            run_id: record.run_id.clone(),
            status: status_of_run(run.outcome()),
            started: record.started_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            duration: run.duration(),
            program: record.program_version.clone(),
            profile: record.profile.clone(),
            dry_run: record.dry_run,
            resumed: history.resumed,
            params: given.chain(withheld).collect(),
            balanced: run.ledger().map(|ledger| ledger.balanced),
            length_ms: history.length_ms.max(end),
            steps,
            errors: errors(run),
            warnings,
            rejects,
        })
    }
}

/// Those of the ledger. Before the first step has ended there is none: then those that have begun.
fn steps(run: &PastRun, history: &RunHistory) -> Vec<ReportStep> {
    let Some(ledger) = run.ledger() else {
        let begun = history.steps.iter().filter(|step| step.component.is_some());
        return begun.map(|step| of_history(step, run.outcome())).collect();
    };
    ledger.steps.iter().map(|step| of_ledger(step, history, run)).collect()
}

fn of_history(step: &StepHistory, outcome: Outcome) -> ReportStep {
    ReportStep {
        id: step.id.clone(),
        component: step.component.clone().unwrap_or_default(),
        status: match step.attempts.last().map(|attempt| attempt.end) {
            Some(AttemptEnd::Done) => Status::new(status_text(StepStatus::Done), Tone::Good),
            Some(AttemptEnd::Failed) => Status::new(status_text(StepStatus::Failed), Tone::Bad),
            Some(AttemptEnd::Open) | None => open(outcome),
        },
        attempts: step.attempts.clone(),
        ..ReportStep::default()
    }
}

fn of_ledger(step: &LedgerStep, history: &RunHistory, run: &PastRun) -> ReportStep {
    let known = history.steps.iter().find(|known| known.id == step.id);
    let mut attempts = known.map(|known| known.attempts.clone()).unwrap_or_default();
    let reused = known.is_some_and(|known| known.reused);
    let planned = ReportStep {
        id: step.id.clone(),
        component: step.component.clone(),
        mode: step.role.mode(),
        reads: step.upstream.clone(),
        needs: step.needs.clone(),
        ..ReportStep::default()
    };
    // The ledger is written when a step ends. It does not know those that run, and before that of a resumed run it is the old one.
    let is_open = attempts.last().is_some_and(|last| last.end == AttemptEnd::Open);
    if is_open && run.record().finished_at.is_none() {
        return ReportStep { status: open(run.outcome()), attempts, ..planned };
    }
    if history.resumed && attempts.is_empty() && !reused && run.outcome() == Outcome::Running {
        return ReportStep { status: WAITING, ..planned };
    }
    let status = if reused && step.status != StepStatus::Confirmed { StepStatus::Reused } else { step.status };
    let time = time_of(step).filter(|_| !reused);
    if let Some(time) = time.filter(|_| attempts.is_empty()) {
        attempts.push(whole(step, time));
    }
    let bytes = known.filter(|_| time.is_some()).and_then(|known| match step.role {
        Role::Write => known.bytes_written,
        Role::Extract | Role::Transform => known.bytes_read,
    });
    ReportStep {
        status: status_of_step(status, run),
        counts: step.counts.clone(),
        rows: step.counts.read.max(rows_out(step)),
        bytes,
        time,
        attempts,
        columns: step.columns.clone(),
        ..planned
    }
}

/// All attempts of a step as one, where its events are not there.
fn whole(step: &LedgerStep, time: Duration) -> StepAttempt {
    StepAttempt {
        offset_ms: step.offset_ms,
        duration_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        end: if step.status.is_done() { AttemptEnd::Done } else { AttemptEnd::Failed },
    }
}

fn status_of_run(outcome: Outcome) -> Status {
    let tone = match outcome {
        Outcome::Done => Tone::Good,
        Outcome::Running => Tone::Busy,
        Outcome::Ambiguous | Outcome::Interrupted => Tone::Unclear,
        Outcome::Failed | Outcome::Integrity | Outcome::TryLater => Tone::Bad,
    };
    Status::new(outcome.about(), tone)
}

fn status_of_step(status: StepStatus, run: &PastRun) -> Status {
    let tone = match status {
        StepStatus::Done | StepStatus::Reused | StepStatus::Confirmed => Tone::Good,
        StepStatus::Failed => Tone::Bad,
        StepStatus::Ambiguous | StepStatus::Cancelled => Tone::Unclear,
        StepStatus::Skipped if run.outcome() == Outcome::Running => return WAITING,
        StepStatus::Skipped => Tone::Idle,
    };
    Status::new(status_text(status), tone)
}

/// That of a step that began, and whose end is not recorded.
fn open(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Running => Status::new("running", Tone::Busy),
        _ => Status::new("unfinished", Tone::Unclear),
    }
}

/// None while it runs: those of a resumed run may be the old ones.
fn errors(run: &PastRun) -> Vec<ReportError> {
    if run.outcome() == Outcome::Running {
        return Vec::new();
    }
    let ledger = run.ledger();
    let of_steps = ledger.into_iter().flat_map(|ledger| {
        ledger.steps.iter().filter_map(|step| ledger.decisive_error(step)).map(str::to_owned).collect::<Vec<_>>()
    });
    of_steps.chain(run.record().problems.iter().cloned()).map(|text| ReportError::of(&text)).collect()
}

impl ReportError {
    /// The hint is the last line of an error's text.
    fn of(text: &str) -> Self {
        match text.rsplit_once("\nhint: ") {
            Some((text, hint)) => Self { text: text.to_owned(), hint: Some(hint.to_owned()) },
            None => Self { text: text.to_owned(), hint: None },
        }
    }
}

fn warnings(run: &PastRun, history: &RunHistory) -> Vec<String> {
    let steps = run.ledger().map(|ledger| ledger.steps.as_slice()).unwrap_or_default();
    let altered = steps.iter().filter(|step| step.counts.altered > 0);
    let altered = altered
        .map(|step| format!("{}: {} values changed, as the step allows", step.id, human::count(step.counts.altered)));
    ledger_notes(steps).into_iter().chain(altered).chain(history.warnings.iter().cloned()).collect()
}

/// The rejects of all steps. Those that cannot be read are a warning: the rest of the report is worth having.
fn rejects(run: &PastRun, warnings: &mut Vec<String>) -> Vec<StepRejects> {
    let mut found = Vec::new();
    for step in run.ledger().into_iter().flat_map(|ledger| &ledger.steps) {
        match rejects_of(run, &step.id) {
            Ok(rejects) => found.extend(rejects),
            Err(error) => warnings.push(format!("{}: {}", step.id, error.message())),
        }
    }
    found
}

fn rejects_of(run: &PastRun, step: &str) -> Result<Option<StepRejects>, Error> {
    let Some(file) = run.open_rejects(step)? else { return Ok(None) };
    let (total, reasons, rows) = (file.len()?, file.reasons(REASONS)?, file.first(ROWS)?);
    Ok(Some(StepRejects { step: step.to_owned(), total, reasons, rows }))
}

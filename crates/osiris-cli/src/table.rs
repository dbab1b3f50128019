//! Text tables.

use std::path::Path;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use osiris::core::{RejectReason, Role, visible_line};
use osiris::pipeline::{LedgerStep, StepStatus};

use crate::human;

/// Columns side by side; those whose numbers are given are aligned to the right.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>, right: &[usize]) -> String {
    let mut table = Table::new();
    let rows =
        rows.into_iter().map(|row| row.into_iter().map(|cell| visible_line(&cell).into_owned()).collect::<Vec<_>>());
    table.load_style(NOTHING).set_header(head.to_vec()).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { 2 }, 0));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// The ledger: the row counts of every step.
pub(crate) fn ledger_table(steps: &[LedgerStep]) -> String {
    let head = ["step", "rows in", "rows out", "rejected", "seconds", "rows/s"];
    let mut text = table(&head, steps.iter().map(ledger_row).collect(), &[1, 2, 3, 4, 5]);
    ledger_notes(steps).iter().for_each(|note| text.push_str(&format!("{note}\n")));
    text
}

/// What the counts of the ledger do not show by themselves, a line each.
pub(crate) fn ledger_notes(steps: &[LedgerStep]) -> Vec<String> {
    let mut notes = Vec::new();
    for step in steps.iter().filter(|step| step.counts.skipped > 0) {
        let rows = human::rows(step.counts.skipped);
        notes.push(format!("{}: {rows} without a cursor value skipped (`nulls: skip`)", step.id));
    }
    for step in steps.iter().filter(|step| step.role == Role::Extract && step.counts.ignored > 0) {
        let rows = human::rows(step.counts.ignored);
        notes.push(format!("{}: {rows} of the source ignored, as the step allows", step.id));
    }
    for (step, confirmation) in steps.iter().filter_map(|step| Some((step, step.confirmed.as_ref()?))) {
        let who = confirmation.user.as_ref().map_or_else(String::new, |user| format!(" by {}", visible_line(user)));
        let at = confirmation.at.format("%Y-%m-%d %H:%M:%S UTC");
        notes.push(format!("{}: confirmed{who} at {at}: its rows were not counted in the destination", step.id));
    }
    notes
}

/// Where the rejects of a step are, and why there are any.
pub(crate) fn rejects_text(step: &str, path: &Path, reasons: &[RejectReason]) -> String {
    let mut text = format!("rejects of {step}: {}", path.display());
    for reason in reasons {
        text.push_str(&format!("\n  {}", reject_line(reason)));
    }
    text
}

/// Such as `3 rows from row 17, column `n`: it is NULL`.
fn reject_line(reason: &RejectReason) -> String {
    let rows = match (reason.rows, reason.first_row) {
        (1, Some(row)) => format!("row {}", human::count(row)),
        (rows, Some(row)) => format!("{} from row {}", human::rows(rows), human::count(row)),
        (rows, None) => human::rows(rows),
    };
    let column =
        reason.column.as_ref().map_or_else(String::new, |column| format!(", column `{}`", visible_line(column)));
    format!("{rows}{column}: {}", visible_line(&reason.reason))
}

/// A status in words.
pub(crate) fn status_text(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Done => "done",
        StepStatus::Reused => "done before",
        StepStatus::Confirmed => "confirmed",
        StepStatus::Failed => "failed",
        StepStatus::Ambiguous => "ambiguous",
        StepStatus::Cancelled => "stopped",
        StepStatus::Skipped => "skipped",
    }
}

/// The rows that a step stored, or that its destination acknowledged.
pub(crate) fn rows_out(step: &LedgerStep) -> u64 {
    if step.role == Role::Write { step.counts.acknowledged() } else { step.counts.stored }
}

/// How long a step took, if it ran in this run.
pub(crate) fn time_of(step: &LedgerStep) -> Option<Duration> {
    let ran = !matches!(step.status, StepStatus::Reused | StepStatus::Confirmed | StepStatus::Skipped);
    ran.then(|| Duration::from_millis(step.duration_ms))
}

fn ledger_row(step: &LedgerStep) -> Vec<String> {
    let counts = &step.counts;
    let (out, time) = (rows_out(step), time_of(step));
    let name = match step.status {
        StepStatus::Done => step.id.clone(),
        status => format!("{} ({})", step.id, status_text(status)),
    };
    if step.status == StepStatus::Skipped {
        return vec![name];
    }
    let counted = |number: u64| if step.confirmed.is_some() { String::new() } else { human::count(number) };
    vec![
        name,
        human::count(counts.read),
        counted(out),
        counted(counts.rejected),
        time.map(human::seconds).unwrap_or_default(),
        time.map(|time| human::rate(counts.read.max(out), time)).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let rows = vec![vec!["a".to_owned(), "1,000".to_owned()], vec!["long name".to_owned(), "7".to_owned()]];
        insta::assert_snapshot!(table(&["name", "rows"], rows, &[1]), @r"
        name        rows
        a          1,000
        long name      7
        ");
    }
}

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
    for step in steps.iter().filter(|step| step.counts.skipped > 0) {
        let rows = human::rows(step.counts.skipped);
        text.push_str(&format!("{}: {rows} without a cursor value skipped (`nulls: skip`)\n", step.id));
    }
    for step in steps.iter().filter(|step| step.role == Role::Extract && step.counts.ignored > 0) {
        let rows = human::rows(step.counts.ignored);
        text.push_str(&format!("{}: {rows} of the source ignored, as the step allows\n", step.id));
    }
    for (step, confirmation) in steps.iter().filter_map(|step| Some((step, step.confirmed.as_ref()?))) {
        let who = confirmation.user.as_ref().map_or_else(String::new, |user| format!(" by {}", visible_line(user)));
        let at = confirmation.at.format("%Y-%m-%d %H:%M:%S UTC");
        text.push_str(&format!("{}: confirmed{who} at {at}: its rows were not counted in the destination\n", step.id));
    }
    text
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

fn ledger_row(step: &LedgerStep) -> Vec<String> {
    let counts = &step.counts;
    let out = if step.role == Role::Write { counts.acknowledged() } else { counts.stored };
    let duration = Duration::from_millis(step.duration_ms);
    let (name, ran) = match step.status {
        StepStatus::Done => (step.id.clone(), true),
        StepStatus::Reused => (format!("{} (done before)", step.id), false),
        StepStatus::Confirmed => (format!("{} (confirmed)", step.id), false),
        StepStatus::Failed => (format!("{} (failed)", step.id), true),
        StepStatus::Ambiguous => (format!("{} (ambiguous)", step.id), true),
        StepStatus::Cancelled => (format!("{} (stopped)", step.id), true),
        StepStatus::Skipped => return vec![format!("{} (skipped)", step.id)],
    };
    let timed = |text: String| if ran { text } else { String::new() };
    let counted = |number: u64| if step.confirmed.is_some() { String::new() } else { human::count(number) };
    vec![
        name,
        human::count(counts.read),
        counted(out),
        counted(counts.rejected),
        timed(human::seconds(duration)),
        timed(human::rate(counts.read.max(out), duration)),
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

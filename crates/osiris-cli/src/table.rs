//! Text tables.

use std::path::Path;
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, Table, Width};
use osiris::core::{RejectReason, Role, visible_line};
use osiris::pipeline::{LedgerStep, StepStatus};

use crate::human;
use crate::terminal::{shortened, width};

/// The space between two columns.
const GAP: usize = 2;

/// What a name or a text keeps on a terminal that is too narrow.
const LEAST: usize = 8;

/// A column, and what becomes of it on a terminal that is too narrow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    title: &'a str,
    content: Content,
    is_optional: bool,
    has_lines: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Aligned to the right, never changed.
    Number,
    /// Never changed: the user may copy it into a command.
    Key,
    /// Shortened in the middle.
    Name,
    /// Continued on the next line.
    Text,
}

impl<'a> Column<'a> {
    const fn new(title: &'a str, content: Content) -> Self {
        Self { title, content, is_optional: false, has_lines: false }
    }

    /// Numbers, aligned to the right; they stay whole.
    pub(crate) const fn number(title: &'a str) -> Self {
        Self::new(title, Content::Number)
    }

    /// Words that stay whole.
    pub(crate) const fn key(title: &'a str) -> Self {
        Self::new(title, Content::Key)
    }

    /// Names, which are shortened in the middle.
    pub(crate) const fn name(title: &'a str) -> Self {
        Self::new(title, Content::Name)
    }

    /// Texts, which are continued on the next line.
    pub(crate) const fn text(title: &'a str) -> Self {
        Self::new(title, Content::Text)
    }

    /// Left out before anything is shortened; of several such columns the last one first.
    #[must_use]
    pub(crate) const fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// Whose texts have line breaks of their own, which stay.
    #[must_use]
    pub(crate) const fn of_lines(self) -> Self {
        Self { has_lines: true, ..self }
    }

    /// A cell as a terminal may show it.
    fn visible(&self, cell: &str) -> String {
        if self.has_lines {
            cell.split('\n').map(visible_line).collect::<Vec<_>>().join("\n")
        } else {
            visible_line(cell).into_owned()
        }
    }

    /// The width of its title, which may have several lines.
    fn title_width(&self) -> usize {
        self.title.lines().map(width).max().unwrap_or(0)
    }

    /// The least width; none if it stays as wide as it is.
    fn least(&self) -> Option<usize> {
        matches!(self.content, Content::Name | Content::Text).then(|| self.title_width().max(LEAST))
    }

    /// The width that it needs where nothing is shortened. `index` is its place in the rows.
    fn natural(&self, index: usize, rows: &[Vec<String>]) -> usize {
        let lines = rows.iter().filter_map(|row| row.get(index)).flat_map(|cell| cell.split('\n'));
        lines.map(width).max().unwrap_or(0).max(self.title_width())
    }
}

/// Columns side by side, of at most so many columns of the terminal where that is possible.
pub(crate) fn table(columns: &[Column<'_>], rows: Vec<Vec<String>>, limit: Option<usize>) -> String {
    let visible_row =
        |row: Vec<String>| row.iter().zip(columns).map(|(cell, column)| column.visible(cell)).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = rows.into_iter().map(visible_row).collect();
    let natural: Vec<usize> = columns.iter().enumerate().map(|(index, column)| column.natural(index, &rows)).collect();
    let fitted = fit(columns, &natural, limit.unwrap_or(usize::MAX));
    let cells = |row: &Vec<String>| {
        let cell = |(index, room): &(usize, usize)| {
            let text = row.get(*index).map_or("", String::as_str);
            if columns[*index].content == Content::Name { shortened(text, *room) } else { text.to_owned() }
        };
        fitted.iter().map(cell).collect::<Vec<_>>()
    };
    let head: Vec<&str> = fitted.iter().map(|(index, _)| columns[*index].title).collect();
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head).add_rows(rows.iter().map(cells));
    for (place, (column, (index, room))) in table.column_iter_mut().zip(&fitted).enumerate() {
        let padding = if place == 0 { 0 } else { GAP };
        column.set_padding((u16::try_from(padding).unwrap_or(0), 0));
        if columns[*index].content == Content::Number {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if *room < natural[*index] {
            let room = u16::try_from(room + padding).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(room)));
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// How many of the columns, the first ones and at least one, a terminal of so many columns has room for where names and texts are
/// as short as they may be.
pub(crate) fn fitting(columns: &[Column<'_>], rows: &[Vec<String>], limit: usize) -> usize {
    let mut used = 0;
    let fits = |(index, column): &(usize, &Column<'_>)| {
        let natural = column.natural(*index, rows);
        used += column.least().map_or(natural, |least| natural.min(least)) + if *index == 0 { 0 } else { GAP };
        used <= limit
    };
    columns.iter().enumerate().take_while(fits).count().max(1).min(columns.len())
}

/// The columns that stay, by number, with their widths.
fn fit(columns: &[Column<'_>], natural: &[usize], limit: usize) -> Vec<(usize, usize)> {
    let mut kept: Vec<(usize, usize)> = natural.iter().copied().enumerate().collect();
    let excess = |kept: &[(usize, usize)]| {
        let gaps = GAP * kept.len().saturating_sub(1);
        (kept.iter().map(|(_, room)| room).sum::<usize>() + gaps).saturating_sub(limit)
    };
    while excess(&kept) > 0 {
        let Some(last) = kept.iter().rposition(|(index, _)| columns[*index].is_optional) else { break };
        kept.remove(last);
    }
    for _ in 0..excess(&kept) {
        let narrower =
            kept.iter_mut().filter(|(index, room)| columns[*index].least().is_some_and(|least| *room > least));
        let Some((_, widest)) = narrower.max_by_key(|(_, room)| *room) else { break };
        *widest -= 1;
    }
    kept
}

/// The columns of the ledger.
const LEDGER: [Column; 6] = [
    Column::name("step"),
    Column::number("rows in"),
    Column::number("rows out"),
    Column::number("rejected"),
    Column::number("seconds").optional(),
    Column::number("rows/s").optional(),
];

/// The ledger: the row counts of every step, of at most so many columns.
pub(crate) fn ledger_table(steps: &[LedgerStep], limit: Option<usize>) -> String {
    let mut text = table(&LEDGER, ledger_rows(steps), limit);
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
    notes.extend(group_notes(steps));
    notes
}

/// How many tables of each group have arrived, and which have not.
fn group_notes(steps: &[LedgerStep]) -> Vec<String> {
    let mut groups: Vec<&str> = readers(steps).map(|(group, _)| group).collect();
    groups.sort_unstable();
    groups.dedup();
    let note = |group: &&str| {
        let tables: Vec<&LedgerStep> =
            readers(steps).filter(|(name, _)| name == group).map(|(_, reader)| reader).collect();
        let is_done = |reader: &&&LedgerStep| {
            reader.status.is_done() && writers_of(reader, steps).all(|writer| writer.status.is_done())
        };
        let done = tables.iter().filter(is_done).count();
        let left: Vec<&str> = tables.iter().filter(|reader| !is_done(reader)).map(|reader| table_of(reader)).collect();
        let left = if left.is_empty() { String::new() } else { format!("; not done: {}", left.join(", ")) };
        let ending = if tables.len() == 1 { "" } else { "s" };
        format!("{group}: {done} of {} table{ending} done{left}", tables.len())
    };
    groups.iter().map(note).collect()
}

/// The steps that read the tables of groups, with their groups.
fn readers(steps: &[LedgerStep]) -> impl Iterator<Item = (&str, &LedgerStep)> {
    let of_tables = steps.iter().filter(|step| step.role == Role::Extract);
    of_tables.filter_map(|step| Some((step.group.as_ref()?.group.as_str(), step)))
}

fn table_of(step: &LedgerStep) -> &str {
    step.group.as_ref().and_then(|member| member.table.as_deref()).unwrap_or(&step.id)
}

fn writers_of<'a>(reader: &'a LedgerStep, steps: &'a [LedgerStep]) -> impl Iterator<Item = &'a LedgerStep> {
    steps.iter().filter(|step| step.role == Role::Write && step.upstream == [reader.id.as_str()])
}

/// A row for each step. A table of a group that was read and written is one row.
fn ledger_rows(steps: &[LedgerStep]) -> Vec<Vec<String>> {
    let is_counted = |step: &LedgerStep| matches!(step.status, StepStatus::Done | StepStatus::Reused);
    let mut pairs: Vec<(&LedgerStep, &LedgerStep)> = Vec::new();
    for (_, reader) in readers(steps).filter(|(_, reader)| is_counted(reader)) {
        let mut writers = writers_of(reader, steps);
        if let (Some(writer), None) = (writers.next(), writers.next())
            && writer.status == reader.status
        {
            pairs.push((reader, writer));
        }
    }
    let row = |step: &LedgerStep| match pairs.iter().find(|(one, two)| [&one.id, &two.id].contains(&&step.id)) {
        Some((reader, writer)) => (step.id == reader.id).then(|| table_row(reader, writer)),
        None => Some(ledger_row(step)),
    };
    steps.iter().filter_map(row).collect()
}

/// The row of a table that was read and written.
fn table_row(reader: &LedgerStep, writer: &LedgerStep) -> Vec<String> {
    let end = |step: &LedgerStep| step.offset_ms.saturating_add(step.duration_ms);
    let mut both = reader.clone();
    both.counts.stored = rows_out(writer);
    both.counts.rejected += writer.counts.rejected;
    both.duration_ms = end(reader).max(end(writer)).saturating_sub(reader.offset_ms);
    ledger_row(&both)
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

    fn cells(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn a_table_of_a_group_is_one_row_and_the_group_a_line() {
        let steps: Vec<LedgerStep> = serde_json::from_value(serde_json::json!([
            step("all.a", "extract", "done", &[]),
            step("load.a", "write", "done", &["all.a"]),
            step("all.b", "extract", "failed", &[]),
            step("load.b", "write", "skipped", &["all.b"]),
        ]))
        .unwrap();
        let text = ledger_table(&steps, None);
        let lines: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(lines, ["step", "all.a", "all.b", "load.b", "all:"], "{text}");
        assert!(text.ends_with("all: 1 of 2 tables done; not done: b\n"), "{text}");
    }

    fn step(id: &str, role: &str, status: &str, upstream: &[&str]) -> serde_json::Value {
        let (group, table) = id.split_once('.').unwrap();
        let mut step = serde_json::to_value(osiris::core::StepCounts::default()).unwrap();
        let others = serde_json::json!({
            "id": id, "component": "x.y", "role": role, "status": status, "upstream": upstream,
            "duration_ms": 1, "offset_ms": 0, "attempts": 1, "error": null, "rejects": null, "fingerprint": "",
            "group": {"group": group, "table": table},
        });
        step.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        step
    }

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let rows = cells(&[&["a", "1,000"], &["long name", "7"]]);
        insta::assert_snapshot!(table(&[Column::name("name"), Column::number("rows")], rows, None), @r"
        name        rows
        a          1,000
        long name      7
        ");
    }

    #[test]
    fn a_narrow_terminal_gets_fewer_columns_then_shorter_names_and_whole_numbers() {
        let rows = || cells(&[&["extract_orders", "6,000,000", "6,000,000", "0", "12.34", "486,223"]]);
        let lines = |limit| {
            let text = table(&LEDGER, rows(), Some(limit));
            text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect::<Vec<Vec<_>>>()
        };
        assert_eq!(lines(64)[1], ["extract_orders", "6,000,000", "6,000,000", "0", "12.34", "486,223"]);
        assert_eq!(lines(63)[1], ["extract_orders", "6,000,000", "6,000,000", "0", "12.34"]);
        assert_eq!(lines(50)[1], ["extract_orders", "6,000,000", "6,000,000", "0"]);
        assert_eq!(lines(41)[1], ["extr…ders", "6,000,000", "6,000,000", "0"]);
        for limit in 40..65 {
            let text = table(&LEDGER, rows(), Some(limit));
            assert!(text.lines().all(|line| width(line) <= limit), "{limit}: {text}");
            assert_eq!(text.lines().count(), 2, "{text}");
        }
    }

    #[test]
    fn line_breaks_stay_where_a_column_has_lines() {
        let rows = || cells(&[&["a", "two problems:\n  - \u{1b}one\n  - two"]]);
        let text = table(&[Column::name("name"), Column::text("message").of_lines()], rows(), None);
        assert_eq!(text, "name  message\na     two problems:\n        - \\u{1b}one\n        - two\n");
        let text = table(&[Column::name("name"), Column::text("message")], rows(), None);
        assert!(text.ends_with("a     two problems:\\u{a}  - \\u{1b}one\\u{a}  - two\n"), "{text}");
    }

    #[test]
    fn texts_continue_on_the_next_line_and_keys_stay_whole() {
        let columns = [Column::key("run"), Column::text("message")];
        let rows = cells(&[&["20240101-abcdef", "no answer from the server within ten seconds"]]);
        let text = table(&columns, rows, Some(40));
        assert!(text.lines().count() > 2 && text.lines().all(|line| width(line) <= 40), "{text}");
        assert!(text.contains("20240101-abcdef  no answer"), "{text}");
        let words: Vec<&str> = text.split_whitespace().skip(3).collect();
        assert_eq!(words.join(" "), "no answer from the server within ten seconds");
    }
}

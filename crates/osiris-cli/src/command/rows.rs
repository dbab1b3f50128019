//! `head` and `exec`: rows of a source on the screen.

use std::io::Read as _;

use osiris::core::store::TextRow;
use osiris::core::{ColumnType, visible_line};
use osiris::pipeline::run::{ReadTable, read};
use osiris::pipeline::{CopyPipeline, CopyRequest};
use osiris::{Error, PlanOptions, Registry, Settings};
use serde_json::{Map, Value, json};

use super::{project, report, wait};
use crate::args::{ExecArgs, FormArgs, HeadArgs};
use crate::command_error::CommandError;
use crate::console::Console;
use crate::table::{Column, fitting, table};
use crate::terminal::stdout_width;
use crate::{csv, human, interrupt, logging};

/// The version of what is printed as JSON.
const VERSION: u32 = 1;

/// How many rows `exec` shows.
const SHOWN: u64 = 100;

/// How much of a value a table shows.
const WIDTH: usize = 60;

/// What stands for a value that is not there.
const NULL: &str = "NULL";

pub(super) fn head(
    args: &HeadArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    let mut request = CopyRequest::new(&args.source, "");
    // One more shows whether there are more.
    request.limit = Some(args.rows + 1);
    let more = format!("the first {}: -n shows more", human::rows(args.rows));
    show(&request.reading(registry)?, Printer::new(&args.form, Some(args.rows), Some(more), console), given, registry)
}

pub(super) fn exec(
    args: &ExecArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    let query = match args.query.as_str() {
        "-" => from_stdin()?,
        query => query.to_owned(),
    };
    let request = CopyRequest::of_query(&args.connection, query, registry)?;
    let limit = args.rows.or((!args.form.csv).then_some(SHOWN));
    show(&request.reading(registry)?, Printer::new(&args.form, limit, None, console), given, registry)
}

fn from_stdin() -> Result<String, Error> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|error| Error::validation("cannot read the statement from the standard input").with_source(error))?;
    Ok(text)
}

/// Reads the source and prints its rows.
fn show(
    reading: &CopyPipeline,
    mut printer: Printer<'_>,
    given: Settings,
    registry: &Registry,
) -> Result<u8, CommandError> {
    let console = printer.console;
    let project = project::here(given)?;
    let log_secrets = logging::start(console, project.settings());
    let plan = wait(project.plan_copy(reading, registry, &PlanOptions::default())).map_err(CommandError::of_plan)?;
    log_secrets.add(plan.redactor());
    project::warn(&plan, console);
    let options = project.run_options();
    let (cancel, bars) = (options.cancel.clone(), console.bars().clone());
    interrupt::listen(move || cancel.cancel(), move || bars.suspend(report::interrupting), report::ending_at_once)?;
    let mut take = |table: &ReadTable, rows| printer.take(table, rows);
    wait(read(&plan, &options, &mut take)).map_err(CommandError::Run)?;
    printer.end()?;
    Ok(0)
}

/// Prints rows: CSV as they come, everything else at their end.
struct Printer<'a> {
    console: &'a Console,
    form: &'a FormArgs,
    limit: Option<u64>,
    /// What is said where there are more rows; none where it is known how many.
    more: Option<String>,
    table: Option<ReadTable>,
    taken: u64,
    rows: Vec<TextRow>,
    failure: Option<CommandError>,
}

impl<'a> Printer<'a> {
    fn new(form: &'a FormArgs, limit: Option<u64>, more: Option<String>, console: &'a Console) -> Self {
        Self { console, form, limit, more, table: None, taken: 0, rows: Vec::new(), failure: None }
    }

    /// Returns whether it wants more.
    fn take(&mut self, table: &ReadTable, rows: Vec<TextRow>) -> bool {
        let is_first = self.table.is_none();
        if is_first {
            self.table = Some(table.clone());
        }
        let room = self.limit.map_or(u64::MAX, |limit| limit - self.taken);
        let rows: Vec<TextRow> = rows.into_iter().take(usize::try_from(room).unwrap_or(usize::MAX)).collect();
        self.taken += rows.len() as u64;
        if !self.form.csv {
            self.rows.extend(rows);
            return self.limit != Some(self.taken);
        }
        let head = is_first.then(|| csv::line(table.columns.iter().map(|column| Some(column.name.as_str()))));
        let lines = rows.iter().map(|row| csv::line(row.iter().map(Option::as_deref)));
        let text: String = head.into_iter().chain(lines).collect();
        self.failure = self.console.data(&text).err();
        self.failure.is_none() && self.limit != Some(self.taken)
    }

    fn end(self) -> Result<(), CommandError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let Some(read) = &self.table else { return Ok(()) };
        let has_more = read.rows > self.taken;
        if self.form.json {
            let rows: Vec<Value> = self.rows.iter().map(|row| row_json(read, row)).collect();
            return self
                .console
                .json(&json!({"version": VERSION, "columns": read.columns, "rows": rows, "more": has_more}));
        }
        if !self.form.csv {
            let (text, left_out) = shown(read, &self.rows, stdout_width());
            self.console.data(&text)?;
            if let Some(left_out) = left_out {
                self.console.say(&left_out);
            }
        }
        let said = match (has_more, self.more) {
            (false, _) => human::rows(self.taken),
            (true, Some(more)) => more,
            (true, None) => {
                let (taken, rows) = (human::count(self.taken), human::rows(read.rows));
                format!("the first {taken} of {rows}: -n shows more, --csv all")
            }
        };
        self.console.say(&said);
        Ok(())
    }
}

/// The rows as a table, and what to say of columns that it has no room for.
fn shown(read: &ReadTable, rows: &[TextRow], width: Option<usize>) -> (String, Option<String>) {
    let titles: Vec<String> =
        read.columns.iter().map(|column| format!("{}\n{}", cell(&column.name), cell(&column.column_type))).collect();
    let columns = read.columns.iter().zip(&titles).map(|(column, title)| {
        let is_number = ColumnType::parse(&column.column_type).is_numeric();
        if is_number { Column::number(title) } else { Column::name(title) }
    });
    let columns: Vec<Column<'_>> = columns.collect();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|value| value_cell(value.as_deref())).collect()).collect();
    let room = width.map_or(columns.len(), |width| fitting(&columns, &cells, width));
    let left_out: Vec<String> = read.columns[room..].iter().map(|column| cell(&column.name)).collect();
    let said = match left_out.len() {
        0 => None,
        1 => Some(format!("1 more column: {} (--csv and --json print it)", left_out[0])),
        more => Some(format!("{more} more columns: {} (--csv and --json print them)", left_out.join(", "))),
    };
    (table(&columns[..room], cells, width), said)
}

/// A text of one line and limited length.
fn cell(text: &str) -> String {
    visible_line(&human::beginning(text, WIDTH)).into_owned()
}

fn value_cell(value: Option<&str>) -> String {
    match value {
        None => NULL.to_owned(),
        // It must not look as if it were not there.
        Some(NULL) => format!("'{NULL}'"),
        Some(text) => cell(text),
    }
}

fn row_json(read: &ReadTable, row: &TextRow) -> Value {
    let fields = read.columns.iter().zip(row);
    let fields = fields.map(|(column, value)| (column.name.clone(), value_json(value.as_deref(), &column.column_type)));
    Value::Object(fields.collect::<Map<String, Value>>())
}

/// A value: as JSON where JSON has it exactly, else as text.
fn value_json(value: Option<&str>, column_type: &str) -> Value {
    use ColumnType as T;
    let Some(text) = value else { return Value::Null };
    let is_json = match ColumnType::parse(column_type) {
        T::HugeInt | T::UHugeInt | T::Decimal(..) => false,
        T::Boolean | T::Json => true,
        other => other.is_numeric(),
    };
    // Infinity is no number of JSON.
    let parsed = if is_json { serde_json::from_str(text).ok() } else { None };
    parsed.unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    use osiris::pipeline::StepColumn;

    use super::*;

    fn table_of(columns: &[(&str, &str)], rows: u64) -> ReadTable {
        let column =
            |(name, kind): &(&str, &str)| StepColumn { name: (*name).to_owned(), column_type: (*kind).to_owned() };
        ReadTable { columns: columns.iter().map(column).collect(), rows }
    }

    fn row(values: &[Option<&str>]) -> TextRow {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn types_are_in_the_head_null_is_marked_and_controls_are_escaped() {
        let read = table_of(&[("id", "BIGINT"), ("na\u{1b}me", "VARCHAR")], 3);
        let rows = [row(&[Some("1"), Some("a\u{1b}[2J\nb")]), row(&[None, None]), row(&[Some("20"), Some("NULL")])];
        let (text, left_out) = shown(&read, &rows, None);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["id", "na\\u{1b}me"]);
        assert_eq!(lines[1], ["BIGINT", "VARCHAR"]);
        assert_eq!(lines[2], ["1", "a\\u{1b}[2J\\u{a}b"]);
        assert_eq!(lines[3], ["NULL", "NULL"]);
        assert_eq!(lines[4], ["20", "'NULL'"]);
        assert_eq!(left_out, None);
    }

    #[test]
    fn a_table_fits_the_width_and_what_does_not_is_named() {
        let names: Vec<String> = (0..12).map(|number| format!("column_{number}")).collect();
        let columns: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "VARCHAR")).collect();
        let long = "x".repeat(200);
        let read = table_of(&columns, 1);
        for width in [12, 40, 80, 200] {
            let (text, left_out) = shown(&read, &[row(&[Some(long.as_str()); 12])], Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            assert_eq!(left_out.is_some(), width < 200, "{width}");
        }
        let (_, left_out) = shown(&read, &[], Some(90));
        assert!(left_out.is_some_and(|left_out| left_out.contains("column_11 (--csv")));
    }

    #[test]
    fn values_are_json_where_that_is_exact() {
        let values = [
            ("1", "BIGINT", json!(1)),
            ("true", "BOOLEAN", json!(true)),
            ("1.5", "DOUBLE", json!(1.5)),
            ("inf", "DOUBLE", json!("inf")),
            ("1.10", "DECIMAL(10,2)", json!("1.10")),
            ("{\"a\":[1]}", "JSON", json!({"a": [1]})),
            ("12", "VARCHAR", json!("12")),
        ];
        for (text, kind, expected) in values {
            assert_eq!(value_json(Some(text), kind), expected, "{text} {kind}");
        }
        assert_eq!(value_json(None, "BIGINT"), Value::Null);
    }
}

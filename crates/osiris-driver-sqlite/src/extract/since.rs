//! Reading by a cursor, in SQLite's SQL. What the parts of a run mean, and what is kept between runs, is decided by
//! [`osiris_sql::read::cursor`].
//!
//! SQLite has one writer at a time, so no row is committed below a value that a reader has seen committed, if the value
//! is set inside of the transaction.

use osiris_core::state::reset_hint;
use osiris_core::{DRY_RUN_ROWS, Error, ExecutionContext, Extracted, Result, Step};
use osiris_sql::read::cursor::{
    CLOCK_TOLERANCE_SECONDS, CONTEXT as DOING, Cursor, CursorColumn, CursorRead, GreatestValue, InitialCursor,
    SavedCursor,
};
use osiris_sql::read::source::SelectSource;

use super::SqliteExtractor;
use super::cursor::{CursorKind, TimeForm};
use super::reader::{Reader, ReaderClient};
use crate::client::{Client, quote};
use crate::rowid;
use crate::types::ColumnPlan;

const WRONG_VALUES: &str = "correct them, convert them in a `query`, or leave them out by a condition of the step";

/// The cursor column of one run.
struct SqliteCursor<'a> {
    cursor: &'a Cursor,
    plan: &'a ColumnPlan,
    name: String,
    kind: CursorKind,
}

/// Reads the rows at or after the cursor.
pub(super) async fn read(
    client: &mut Client,
    source: &SelectSource,
    reader: &Reader,
    cursor: &Cursor,
    step: &Step<'_, SqliteExtractor>,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let stop_after = step.dry_run().then_some(DRY_RUN_ROWS);
    let read = CursorRead::new(source, cursor, step.state(), step.id(), stop_after)?;
    let mut column = SqliteCursor::new(cursor, reader.plan(&cursor.column), source)?;
    if let Some(table) = &step.config().read.table {
        column.warn_of_reused_numbers(client, table, step.id()).await?;
    }
    let greatest = column.greatest(client, source).await?;
    column.check_start(read.saved(), step.id())?;
    let rows = read.rows(&mut ReaderClient { client, reader }, &column, greatest, &ctx.state_files()).await?;
    rows.extracted()
}

impl CursorColumn for SqliteCursor<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn value(&self, text: &str) -> Result<String> {
        self.kind.sql(text).ok_or_else(|| Error::unknown(format!("{DOING}: {} was expected", self.kind.expected())))
    }

    /// Before the first value that can be printed there is none.
    fn earlier(&self, text: &str) -> Result<Option<String>> {
        self.kind.earlier(text, self.cursor.lag).map(|text| self.value(&text)).transpose()
    }
}

impl<'a> SqliteCursor<'a> {
    /// `plan` is what the column is read as.
    ///
    /// # Errors
    /// A column that is not read, or of a type that has no exact order.
    fn new(cursor: &'a Cursor, plan: Option<&'a ColumnPlan>, source: &SelectSource) -> Result<Self> {
        let name = &cursor.column;
        let plan = plan.ok_or_else(|| {
            Error::validation(format!("the cursor column `{name}` is not among the columns that are read"))
                .with_hint("check `column` of `cursor`, and add the column to `columns` or to the query")
        })?;
        let kind = CursorKind::of(plan)?;
        if kind == CursorKind::Text {
            cursor.refuse_lag_of_text()?;
        }
        Ok(Self { cursor, plan, name: source.column(&quote(name)), kind })
    }

    /// Numbers of rows at the end are given again once their rows are deleted: rows that no run would read.
    async fn warn_of_reused_numbers(&self, client: &mut Client, table: &str, step: &str) -> Result<()> {
        let column = self.cursor.column.as_str();
        if self.cursor.lag <= 0.0 && rowid::is_reused(client, table, column).await? {
            tracing::warn!(
                step,
                column,
                "SQLite gives the ids of deleted rows at the end of the table to new rows, which are then never read; \
                 declare the column AUTOINCREMENT, or set `lag` in `cursor`"
            );
        }
        Ok(())
    }

    /// The greatest value, and whether it is in the future. All values are then known to be compared as what they are.
    ///
    /// # Errors
    /// Values of another type or in another form: SQLite sorts them apart, and rows would be passed over.
    async fn greatest(&mut self, client: &mut Client, source: &SelectSource) -> Result<GreatestValue> {
        let (name, column) = (&self.name, &self.cursor.column);
        // Two statements: an index answers each of them at once.
        let least = client.row(&source.aggregate(&format!("typeof(min({name}))"), None), DOING).await?;
        let greatest = source.aggregate(&format!("typeof(max({name})), max({name}), {}", self.is_future()), None);
        let mut greatest = client.row(&greatest, DOING).await?.into_iter();
        let found = least.into_iter().chain(greatest.next()).flatten();
        let other: Vec<String> = found.filter(|found| found != "null" && !self.kind.has(found)).collect();
        if let Some(other) = other.first() {
            return Err(Error::validation(format!(
                "the cursor column `{column}` is {}, but has {} values, which SQLite sorts apart: rows would be skipped",
                self.plan.decoder.column_type,
                other.to_uppercase()
            ))
            .with_hint(WRONG_VALUES));
        }
        let of = |value, is_future| GreatestValue { value, is_infinite: false, is_future };
        let Some(value) = greatest.next().flatten() else { return Ok(of(None, false)) };
        let is_future = greatest.next().flatten().as_deref() == Some("1");
        self.check_forms(client, source).await?;
        if self.kind.is_printed(&value) { Ok(of(Some(value), is_future)) } else { Err(self.invalid_values()) }
    }

    /// Checks that texts are in the order of the days or times that they are.
    async fn check_forms(&mut self, client: &mut Client, source: &SelectSource) -> Result<()> {
        let name = &self.name;
        let Some(pattern) = self.kind.pattern() else { return Ok(()) };
        let wrong = source.aggregate("count(*)", Some(&format!("{name} NOT GLOB {pattern}")));
        if client.number(&wrong, DOING).await? > 0 {
            return Err(self.invalid_values());
        }
        if let CursorKind::Timestamp(form) = &mut self.kind {
            let found = client.row(&source.aggregate(&TimeForm::select(name), None), DOING).await?;
            *form = TimeForm::parse(&found).map_err(|forms| {
                let column = &self.cursor.column;
                Error::validation(format!(
                    "the cursor column `{column}` has times {forms}, which SQLite does not compare as times"
                ))
                .with_hint("write all of them in one form")
            })?;
        }
        Ok(())
    }

    fn invalid_values(&self) -> Error {
        let (column, expected) = (&self.cursor.column, self.kind.expected());
        Error::validation(format!("invalid values in the cursor column `{column}`: expected {expected}"))
            .with_hint(WRONG_VALUES)
    }

    /// Checks where the run starts.
    fn check_start(&self, saved: Option<&SavedCursor>, step: &str) -> Result<()> {
        let column = &self.cursor.column;
        let initial = self.cursor.initial.as_ref().map(InitialCursor::text);
        match (saved.and_then(SavedCursor::value), initial) {
            (Some(saved), _) if self.kind.sql(saved).is_none() => Err(Error::validation(format!(
                "the saved value of the cursor does not fit the column `{column}`, which is {} now",
                self.plan.decoder.column_type
            ))
            .with_hint(reset_hint(None, step))),
            (None, Some(initial)) if self.kind.sql(&initial).is_none() => Err(Error::validation(format!(
                "invalid `initial` of `cursor`: expected {}, as `{column}` is {}",
                self.kind.expected(),
                self.plan.decoder.column_type
            ))
            .with_hint("correct it")),
            _ => Ok(()),
        }
    }

    /// Whether the greatest value is in the future, as an expression. Without a zone, the later of UTC and local time counts.
    fn is_future(&self) -> String {
        let name = &self.name;
        let now = |function: &str| {
            let at = |zone: &str| format!("{function}('now', '{CLOCK_TOLERANCE_SECONDS} seconds'{zone})");
            format!("max({}, {})", at(""), at(", 'localtime'"))
        };
        match self.kind {
            CursorKind::Date => format!("max({name}) > {}", now("date")),
            CursorKind::Timestamp(_) => format!("julianday(max({name})) > {}", now("julianday")),
            CursorKind::Integer | CursorKind::Decimal(..) | CursorKind::Text => "0".to_owned(),
        }
    }
}

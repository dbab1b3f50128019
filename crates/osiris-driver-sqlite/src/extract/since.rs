//! Reading by a cursor, in SQLite's SQL. What the parts of a run mean, and what is kept between runs, is decided by
//! [`osiris_sql::read::cursor`].
//!
//! SQLite has one writer at a time, so no row is committed below a value that a reader has seen committed, if the value
//! is set inside of the transaction.

use osiris_core::state::reset_hint;
use osiris_core::{DRY_RUN_ROWS, Error, ExecutionContext, Extracted, Result, Step};
use osiris_sql::read::cursor::{
    Bound, Boundaries, CLOCK_TOLERANCE_SECONDS, Cursor, InitialCursor, Part, SavedCursor, Start,
};
use osiris_sql::read::source::SelectSource;

use super::SqliteExtractor;
use super::cursor::{CursorKind, TimeForm};
use super::reader::{Counts, Reader};
use crate::client::{Client, quote};
use crate::rowid;
use crate::types::ColumnPlan;

const DOING: &str = "reading the bound of the cursor";
const WRONG_VALUES: &str = "correct them, convert them in a `query`, or leave them out by a condition of the step";

/// The cursor column of one run.
struct CursorColumn<'a> {
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
    let saved = step.state().map(|state| SavedCursor::parse(state, cursor)).transpose()?;
    let mut column = CursorColumn::new(cursor, reader.plan(&cursor.column), source)?;
    if let Some(table) = &step.config().table {
        column.warn_of_reused_numbers(client, table, step.id()).await?;
    }
    let greatest = column.greatest(client, source).await?;
    column.check_start(saved.as_ref(), step.id())?;
    let bound = column.bound(client, source, saved.as_ref(), greatest).await?;
    let skipped = bound.admit(cursor, saved.as_ref(), step.id())?;
    let upper = bound.upper();
    let mut boundaries = Boundaries::new(saved.as_ref(), &ctx.state_files())?;
    let mut counts = Counts::default();
    for part in cursor.parts(saved.as_ref(), upper) {
        let left = step.dry_run().then(|| DRY_RUN_ROWS.saturating_sub(counts.read));
        let role = part.role;
        let sql = source.select(Some(&column.condition(part)?), left);
        counts.add(reader.read(client, sql, boundaries.of(role)).await?);
    }
    let extracted = counts.extracted().with_skipped(skipped);
    if step.dry_run() {
        return Ok(extracted);
    }
    Ok(match cursor.next(saved.as_ref(), upper, boundaries)? {
        Some(next) => extracted.with_state(next.state()?),
        None => extracted,
    })
}

impl<'a> CursorColumn<'a> {
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
        if kind == CursorKind::Text && cursor.lag > 0.0 {
            return Err(Error::validation("`lag` needs a number or a date").with_hint("remove `lag`"));
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
    async fn greatest(&mut self, client: &mut Client, source: &SelectSource) -> Result<(Option<String>, bool)> {
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
                self.plan.column_type,
                other.to_uppercase()
            ))
            .with_hint(WRONG_VALUES));
        }
        let Some(value) = greatest.next().flatten() else { return Ok((None, false)) };
        let is_future = greatest.next().flatten().as_deref() == Some("1");
        self.check_forms(client, source).await?;
        if self.kind.is_printed(&value) { Ok((Some(value), is_future)) } else { Err(self.invalid_values()) }
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
                self.plan.column_type
            ))
            .with_hint(reset_hint(None, step))),
            (None, Some(initial)) if self.kind.sql(&initial).is_none() => Err(Error::validation(format!(
                "invalid `initial` of `cursor`: expected {}, as `{column}` is {}",
                self.kind.expected(),
                self.plan.column_type
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

    /// What SQLite says of the column, in the snapshot that the rows are read in.
    async fn bound(
        &self,
        client: &mut Client,
        source: &SelectSource,
        saved: Option<&SavedCursor>,
        (value, is_future): (Option<String>, bool),
    ) -> Result<Bound> {
        let name = &self.name;
        let nulls = client.number(&source.aggregate("count(*)", Some(&format!("{name} IS NULL"))), DOING).await?;
        let is_behind = match saved.and_then(SavedCursor::value).filter(|saved| Some(*saved) != value.as_deref()) {
            None => false,
            Some(saved) => {
                let reached = source.aggregate("1", Some(&format!("{name} >= {}", self.value(saved)?)));
                client.number(&format!("SELECT EXISTS({reached})"), DOING).await? == 0
            }
        };
        Ok(Bound { value, is_infinite: false, is_future, is_behind, nulls })
    }

    fn condition(&self, mut part: Part) -> Result<String> {
        if let Some(Start::Lagging(value)) = &part.start {
            // Before the first value that can be printed there is none.
            part.start = self.kind.earlier(value, self.cursor.lag).map(Start::From);
        }
        part.condition(&self.name, |value| self.value(value), str::to_owned)
    }

    /// A value as SQL.
    fn value(&self, text: &str) -> Result<String> {
        self.kind.sql(text).ok_or_else(|| Error::unknown(format!("{DOING}: {} was expected", self.kind.expected())))
    }
}

//! Reading by a cursor, in SQLite's SQL. What the parts of a run mean, and what is kept between runs, is decided by
//! [`osiris_sql::read::cursor`].
//!
//! SQLite has one writer at a time, so no row is committed below a value that a reader has seen committed, if the value
//! is set inside of the transaction.

use osiris_core::{ColumnType, DRY_RUN_ROWS, Error, ExecutionContext, Extracted, Result, Step};
use osiris_sql::read::cursor::{Bound, Boundaries, CLOCK_TOLERANCE_SECONDS, Cursor, Part, SavedCursor};
use osiris_sql::read::source::SelectSource;

use super::SqliteExtractor;
use super::reader::{Counts, Reader};
use crate::client::{Client, literal, quote};
use crate::types::{Affinity, ColumnPlan};

const DOING: &str = "reading the bound of the cursor";

/// How values of the cursor column are written and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CursorKind {
    Number,
    Date,
    Timestamp,
    Text,
}

/// The cursor column of one run.
struct CursorColumn<'a> {
    cursor: &'a Cursor,
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
    let column = CursorColumn::new(cursor, reader.plan(&cursor.column))?;
    let bound = column.bound(client, source, saved.as_ref()).await?;
    let skipped = bound.admit(cursor, saved.as_ref(), step.id())?;
    let upper = bound.upper();
    let mut boundaries = Boundaries::new(saved.as_ref(), &ctx.state_files())?;
    let mut counts = Counts::default();
    for part in cursor.parts(saved.as_ref(), upper) {
        let left = step.dry_run().then(|| DRY_RUN_ROWS.saturating_sub(counts.read));
        let sql = source.select(Some(&column.condition(&part)?), left);
        counts.add(reader.read(client, sql, boundaries.of(part.role)).await?);
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
    fn new(cursor: &'a Cursor, plan: Option<&ColumnPlan>) -> Result<Self> {
        let name = &cursor.column;
        let plan = plan.ok_or_else(|| {
            Error::validation(format!("the cursor column `{name}` is not among the columns that are read"))
                .with_hint("check `column` of `cursor`, and add the column to `columns` or to the query")
        })?;
        let kind = match plan.column_type {
            ColumnType::BigInt => CursorKind::Number,
            ColumnType::Decimal(..) if Affinity::of(&plan.declared) == Affinity::Numeric => CursorKind::Number,
            ColumnType::Date => CursorKind::Date,
            ColumnType::Timestamp => CursorKind::Timestamp,
            ColumnType::Varchar => CursorKind::Text,
            _ => {
                return Err(Error::validation(format!("`{name}` is {}, which cannot be a cursor", plan.column_type))
                    .with_hint(
                        "name an INTEGER, DECIMAL, DATE, TIMESTAMP or TEXT column: others have no exact order",
                    ));
            }
        };
        if kind == CursorKind::Text && cursor.lag > 0.0 {
            return Err(Error::validation("`lag` needs a number or a date").with_hint("remove `lag`"));
        }
        Ok(Self { cursor, name: quote(name), kind })
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
            CursorKind::Timestamp => format!("julianday(max({name})) > {}", now("julianday")),
            CursorKind::Number | CursorKind::Text => "0".to_owned(),
        }
    }

    /// SQLite compares times as texts: in two forms their order is not that of the times, and rows would be passed over.
    async fn require_one_form(&self, client: &mut Client, source: &SelectSource) -> Result<()> {
        if self.kind != CursorKind::Timestamp {
            return Ok(());
        }
        let separators = source.aggregate(&format!("count(DISTINCT substr({}, 11, 1))", self.name), None);
        if client.number(&separators, DOING).await? <= 1 {
            return Ok(());
        }
        let name = &self.cursor.column;
        Err(Error::validation(format!(
            "the cursor column `{name}` has times with a `T` and times with a space, which SQLite does not compare as times"
        ))
        .with_hint("write all of them in one form"))
    }

    /// What SQLite says of the column, in the snapshot that the rows are read in.
    async fn bound(&self, client: &mut Client, source: &SelectSource, saved: Option<&SavedCursor>) -> Result<Bound> {
        let name = &self.name;
        self.require_one_form(client, source).await?;
        let greatest = source.aggregate(&format!("max({name}), {}", self.is_future()), None);
        let mut greatest = client.row(&greatest, DOING).await?.into_iter();
        let (value, is_future) = (greatest.next().flatten(), greatest.next().flatten());
        let nulls = client.number(&source.aggregate("count(*)", Some(&format!("{name} IS NULL"))), DOING).await?;
        let is_behind = match saved.and_then(SavedCursor::value).filter(|saved| Some(*saved) != value.as_deref()) {
            None => false,
            Some(saved) => {
                let reached = source.aggregate("1", Some(&format!("{name} >= {}", self.value(saved)?)));
                client.number(&format!("SELECT EXISTS({reached})"), DOING).await? == 0
            }
        };
        Ok(Bound { value, is_infinite: false, is_future: is_future.as_deref() == Some("1"), is_behind, nulls })
    }

    fn condition(&self, part: &Part) -> Result<String> {
        part.condition(&self.name, |value| self.value(value), |value| self.earlier(value))
    }

    /// A value as SQL.
    ///
    /// # Errors
    /// One that the column cannot have.
    fn value(&self, text: &str) -> Result<String> {
        let is_plain =
            |extra: &[u8]| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || extra.contains(&byte));
        match self.kind {
            CursorKind::Number if is_plain(b"-.") => Ok(text.to_owned()),
            CursorKind::Date if is_plain(b"-") => Ok(literal(text)),
            CursorKind::Timestamp if is_plain(b"-:. T") => Ok(literal(text)),
            CursorKind::Text => Ok(literal(text)),
            _ => Err(Error::validation(format!("the cursor column `{}` has no such value", self.cursor.column))
                .with_hint("correct `initial` of `cursor`, or the values of another type in the column")),
        }
    }

    /// `value` less the lag. Times lose their fraction, so that no row is left out.
    fn earlier(&self, value: &str) -> String {
        let lag = self.cursor.lag;
        match self.kind {
            CursorKind::Date => format!("date({value}, '-{lag} seconds')"),
            CursorKind::Timestamp => format!("strftime('%Y-%m-%d %H:%M:%S', {value}, '-{lag} seconds')"),
            CursorKind::Number | CursorKind::Text => format!("{value} - {lag}"),
        }
    }
}

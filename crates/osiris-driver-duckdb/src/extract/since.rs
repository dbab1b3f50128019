//! Reading by a cursor, in DuckDB's SQL. What the parts of a run mean, and what is kept between runs, is decided by
//! [`osiris_sql::read::cursor`].
//!
//! DuckDB lets one program write, and rows of its transactions become visible all at once: no row is committed below a value that a
//! reader has seen committed, if the value is set inside of the transaction and transactions do not overlap.

use osiris_core::state::reset_hint;
use osiris_core::store::{quote, quote_text};
use osiris_core::{ColumnType, DRY_RUN_ROWS, Error, ExecutionContext, Extracted, Result, Step};
use osiris_sql::read::cursor::{
    CLOCK_TOLERANCE_SECONDS, CONTEXT as DOING, Cursor, CursorColumn, CursorRead, InitialCursor, SavedCursor,
};
use osiris_sql::read::source::SelectSource;

use super::DuckdbExtractor;
use super::reader::{Reader, ReaderClient};
use crate::client::Client;

/// What local times may be ahead of UTC, in seconds.
const FIRST_ZONE_SECONDS: u32 = 14 * 3600;

/// The cursor column of one run.
struct DuckdbCursor<'a> {
    cursor: &'a Cursor,
    name: String,
    column_type: &'a ColumnType,
}

/// Reads the rows at or after the cursor.
pub(super) async fn read(
    client: &mut Client,
    source: &SelectSource,
    reader: &Reader,
    cursor: &Cursor,
    step: &Step<'_, DuckdbExtractor>,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let stop_after = step.dry_run().then_some(DRY_RUN_ROWS);
    let read = CursorRead::new(source, cursor, step.state(), step.id(), stop_after)?;
    let column = DuckdbCursor::new(cursor, reader)?;
    column.check_start(client, read.saved(), step.id()).await?;
    let mut session = ReaderClient { client, reader };
    let greatest = read.greatest(&mut session, &column.greatest(), None).await?;
    read.rows(&mut session, &column, greatest, &ctx.state_files()).await?.extracted()
}

impl CursorColumn for DuckdbCursor<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn value(&self, text: &str) -> Result<String> {
        Ok(format!("CAST({} AS {})", quote_text(text), self.declared()))
    }

    fn earlier(&self, text: &str) -> Result<Option<String>> {
        let lag = self.cursor.lag;
        let (value, seconds) = (self.value(text)?, lag.ceil());
        Ok(Some(match self.column_type {
            ColumnType::Date => format!("{value} - {}", (seconds / 86_400.0).ceil()),
            ColumnType::Timestamp | ColumnType::TimestampNs => {
                format!("{value} - to_microseconds({})", (lag * 1e6).ceil())
            }
            // In UTC, as the zone of the session is.
            ColumnType::Instant => {
                format!(
                    "CAST(CAST({value} AS TIMESTAMP) - to_microseconds({}) AS {})",
                    (lag * 1e6).ceil(),
                    self.declared()
                )
            }
            // Not less than it, whatever the digits of the column.
            ColumnType::Decimal(_, scale) => {
                let unit = 10_f64.powi(i32::from(*scale));
                let (lag, digits) = ((lag * unit).ceil() / unit, usize::from(*scale));
                format!("{value} - CAST({lag:.digits$} AS DECIMAL(38,{scale}))")
            }
            _ => format!("CAST({value} AS HUGEINT) - {seconds}"),
        }))
    }
}

impl<'a> DuckdbCursor<'a> {
    /// # Errors
    /// A column that is not read, or of a type that has no exact order.
    fn new(cursor: &'a Cursor, reader: &'a Reader) -> Result<Self> {
        let name = &cursor.column;
        let column = reader.column(name).ok_or_else(|| {
            Error::validation(format!("the cursor column `{name}` is not among the columns that are read"))
                .with_hint("check `column` of `cursor`, and add the column to `columns` or to the query")
        })?;
        let column_type = &column.column_type;
        let is_float = matches!(column_type, ColumnType::Float | ColumnType::Double);
        let is_ordered = (column_type.is_numeric() && !is_float)
            || matches!(
                column_type,
                ColumnType::Date
                    | ColumnType::Timestamp
                    | ColumnType::TimestampNs
                    | ColumnType::Instant
                    | ColumnType::Varchar
            );
        if !is_ordered {
            return Err(cursor.unordered("name an integer, DECIMAL, DATE, TIMESTAMP or VARCHAR column"));
        }
        if *column_type == ColumnType::Varchar {
            cursor.refuse_lag_of_text()?;
        }
        Ok(Self { cursor, name: quote(name), column_type })
    }

    fn declared(&self) -> String {
        crate::types::declared_type(self.column_type)
    }

    /// The greatest value, whether it is infinite, and whether it is in the future, as expressions.
    fn greatest(&self) -> String {
        let greatest = format!("max({})", self.name);
        let now = |ahead: u32| {
            let micros = u64::from(CLOCK_TOLERANCE_SECONDS + ahead) * 1_000_000;
            format!("make_timestamp(epoch_us(get_current_timestamp()) + {micros})")
        };
        let (is_infinite, is_future) = match self.column_type {
            ColumnType::Instant => {
                (format!("isinf({greatest})"), format!("CAST({greatest} AS TIMESTAMP) > {}", now(0)))
            }
            // Without a zone it may be that of any place.
            ColumnType::Date => {
                (format!("isinf({greatest})"), format!("{greatest} > CAST({} AS DATE)", now(FIRST_ZONE_SECONDS)))
            }
            ColumnType::Timestamp | ColumnType::TimestampNs => {
                (format!("isinf({greatest})"), format!("CAST({greatest} AS TIMESTAMP) > {}", now(FIRST_ZONE_SECONDS)))
            }
            _ => ("false".to_owned(), "false".to_owned()),
        };
        format!("CAST({greatest} AS VARCHAR), {is_infinite}, {is_future}")
    }

    /// Checks where the run starts.
    async fn check_start(&self, client: &mut Client, saved: Option<&SavedCursor>, step: &str) -> Result<()> {
        let column = &self.cursor.column;
        let initial = self.cursor.initial.as_ref().map(InitialCursor::text);
        let saved = saved.and_then(SavedCursor::value).map(str::to_owned);
        let is_saved = saved.is_some();
        let Some(start) = saved.or(initial) else { return Ok(()) };
        let fits = format!("SELECT TRY_CAST({} AS {}) IS NOT NULL", quote_text(&start), self.declared());
        if client.row(fits, DOING).await?.first().is_some_and(|fits| fits.as_deref() == Some("t")) {
            return Ok(());
        }
        let error = match is_saved {
            true => Error::validation(format!(
                "the saved value of the cursor does not fit the column `{column}`, which is {} now",
                self.column_type
            ))
            .with_hint(reset_hint(None, step)),
            false => Error::validation(format!(
                "invalid `initial` of `cursor`: `{column}` is {}, and this is no such value",
                self.column_type
            ))
            .with_hint("correct it"),
        };
        Err(error)
    }
}

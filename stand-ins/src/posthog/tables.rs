//! The tables of the stand-in in a run store of its own. A table is as many step tables as there were insertions; a query makes one more,
//! which is read and dropped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use osiris_core::store::quote;
use osiris_core::{Error, Result, Store, StoreKind, StoreOptions};
use serde_json::Value;
use tempfile::TempDir;

use super::fields::{Kept, TABLES, Table};
use super::hogql::{ResultColumn, Translated};
use super::rows::{AsRow, Event, batch};

/// The tables.
pub(super) struct Tables {
    store: Store,
    /// The step tables of each table.
    parts: Mutex<BTreeMap<&'static str, Vec<String>>>,
    next: AtomicU64,
    // Dropped after the store that lives in it.
    _scratch: TempDir,
}

impl Tables {
    pub(super) fn new() -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let options = StoreOptions::new(StoreKind::Memory, scratch.path().join("tmp")).with_threads(2);
        Ok(Self { store: Store::open(&options)?, parts: Mutex::default(), next: AtomicU64::new(0), _scratch: scratch })
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Vec<String>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_step(&self, what: &str) -> String {
        format!("{what} {}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds rows to their table.
    pub(super) async fn insert<R: AsRow>(&self, rows: &[R]) -> Result<()> {
        let table = known(R::TABLE)?;
        let batch = batch(table, rows)?;
        let step = self.new_step(table.name);
        let sink = self.store.sink(&step).await?;
        let sender = sink.sender(batch.schema()).await?;
        sender.send(batch).await?;
        sink.finish().await?;
        self.parts().entry(table.name).or_default().push(step);
        Ok(())
    }

    /// Adds the rows of a SELECT in the store, whose columns are fields of the table.
    pub(super) async fn insert_select(&self, table: &str, select: &str) -> Result<()> {
        let table = known(table)?;
        let step = self.new_step(table.name);
        let sink = self.store.sink(&step).await?;
        let select = select.to_owned();
        sink.call(move |transaction| transaction.create_table_as(&select, &|_| false)).await?;
        sink.finish().await?;
        self.parts().entry(table.name).or_default().push(step);
        Ok(())
    }

    /// Removes every row of a table.
    pub(super) async fn clear(&self, table: &str) -> Result<()> {
        let steps = self.parts().remove(known(table)?.name).unwrap_or_default();
        for step in steps {
            self.store.drop_table(&step).await?;
        }
        Ok(())
    }

    /// The table in SQL. An insertion made by SQL may lack columns, which are NULL then.
    fn sql(&self, name: &str) -> String {
        let Some(table) = Table::named(name) else { return String::new() };
        let nothing: Vec<String> = table
            .fields
            .iter()
            .map(|field| {
                let kind = match field.kept {
                    Kept::Text | Kept::Array => "VARCHAR",
                    Kept::Timestamp => "TIMESTAMP",
                    Kept::Whole => "BIGINT",
                    Kept::Flag => "BOOLEAN",
                };
                format!("NULL::{kind} AS {}", quote(field.name))
            })
            .collect();
        let mut sql = format!("(SELECT {} WHERE false", nothing.join(", "));
        for step in self.parts().get(table.name).into_iter().flatten() {
            sql.push_str(&format!(" UNION ALL BY NAME SELECT * FROM steps.{}", quote(step)));
        }
        sql.push(')');
        sql
    }

    /// How many rows ClickHouse would have to look at for this query.
    pub(super) async fn scanned(&self, query: &Translated) -> Result<u64> {
        let Some(table) = query.table else { return Ok(0) };
        let sql = format!("SELECT count(*)::BIGINT AS n FROM {} AS t{}", self.sql(table), query.scanned);
        let batches = self.select(&sql).await?;
        let count = batches.first().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0));
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// The rows of a query without those of the ids `withheld`, each as JSON.
    pub(super) async fn rows(
        &self,
        query: &Translated,
        limit: u64,
        withheld: &[String],
        offset: i32,
    ) -> Result<Vec<String>> {
        let from = match query.table {
            Some(name) if query.is_rows && !withheld.is_empty() => {
                let ids: Vec<String> = withheld.iter().map(|id| osiris_core::store::quote_text(id)).collect();
                let id = Table::named(name).map_or("uuid", |table| table.id);
                format!("(SELECT * FROM {} WHERE {} NOT IN ({}))", self.sql(name), quote(id), ids.join(", "))
            }
            Some(name) => self.sql(name),
            None => String::new(),
        };
        let mut rows = Vec::new();
        for batch in self.select(&query.sql(&from, limit)).await? {
            append(&batch, &query.columns, offset, &mut rows);
        }
        Ok(rows)
    }

    async fn select(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let step = self.new_step("answer");
        let sink = self.store.sink(&step).await?;
        let sql = sql.to_owned();
        sink.call(move |transaction| transaction.create_table_as(&sql, &|_| false)).await?;
        let table = sink.finish().await?;
        let mut scan = self.store.scan(&table).open().await?;
        let mut batches = Vec::new();
        while let Some(batch) = scan.next().await? {
            batches.push(batch);
        }
        drop(scan);
        self.store.drop_table(&step).await?;
        Ok(batches)
    }

    /// The ids of all events, which an extraction must return.
    pub(super) async fn event_ids(&self) -> Result<Vec<String>> {
        let batches = self.select(&format!("SELECT \"uuid\" FROM {} ORDER BY 1", self.sql(Event::TABLE))).await?;
        let ids = batches.iter().flat_map(|batch| {
            let column = batch.column(0).as_string::<i32>();
            (0..column.len()).map(|row| column.value(row).to_owned()).collect::<Vec<_>>()
        });
        Ok(ids.collect())
    }
}

fn known(table: &str) -> Result<&'static Table> {
    Table::named(table).ok_or_else(|| {
        let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        Error::validation(format!("the stand-in has no table `{table}`; it has {}", names.join(", ")))
    })
}

/// Adds each row of a batch as a JSON array.
fn append(batch: &RecordBatch, columns: &[ResultColumn], offset: i32, rows: &mut Vec<String>) {
    for row in 0..batch.num_rows() {
        let mut json = String::from("[");
        for (index, (array, column)) in batch.columns().iter().zip(columns).enumerate() {
            if index > 0 {
                json.push(',');
            }
            if array.is_null(row) {
                json.push_str("null");
                continue;
            }
            match column.kept {
                Kept::Text => json.push_str(&Value::from(array.as_string::<i32>().value(row)).to_string()),
                Kept::Array => json.push_str(array.as_string::<i32>().value(row)),
                Kept::Whole => json.push_str(&array.as_primitive::<Int64Type>().value(row).to_string()),
                Kept::Flag => json.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
                Kept::Timestamp => {
                    let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
                    json.push_str(&format!("\"{}\"", written(micros, offset)));
                }
            }
        }
        json.push(']');
        rows.push(json);
    }
}

/// A timestamp as PostHog writes it: in the project's zone, with microseconds if there are any.
fn written(micros: i64, offset: i32) -> String {
    let utc = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    let digits = if micros % 1_000_000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    match FixedOffset::east_opt(offset) {
        Some(zone) if offset != 0 => utc.with_timezone(&zone).to_rfc3339_opts(digits, true),
        _ => utc.to_rfc3339_opts(digits, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_the_projects_zone() {
        assert_eq!(written(1_706_702_400_000_001, 0), "2024-01-31T12:00:00.000001Z");
        assert_eq!(written(1_706_702_400_000_000, 0), "2024-01-31T12:00:00Z");
        assert_eq!(written(1_706_702_400_500_000, 7200), "2024-01-31T14:00:00.500000+02:00");
    }
}

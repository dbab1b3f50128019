//! The rows of a write in a temporary table of the file's instance, numbered, before one statement moves them into the table. DuckDB
//! has no savepoints: an error ends the transaction, so that [rows at fault](super::faults) are found here before.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use osiris_core::store::{BatchLoader, quote, quote_text};
use osiris_core::{Error, ExecutionContext, Reject, Result, TableScan};
use osiris_sql::write::{Dedupe, MAX_DUPLICATES, refuse_duplicates};

use super::faults::Fault;
use super::task::{WriteColumn, WritePlan, WriteTask};
use crate::client::Client;

const DOING: &str = "merging rows";
pub(super) const TABLE: &str = "temp.main.osiris_input";
/// The number of a row. The other columns are named by their numbers, so that no name is taken.
pub(super) const ROW: &str = "osiris_row";
/// Rows at fault that are taken out at once.
const AT_ONCE: usize = 1000;

/// The staging table.
pub(super) struct Staging<'a> {
    pub(super) plan: &'a WritePlan,
    /// The bytes of the rows that were loaded.
    pub(super) bytes: u64,
}

/// A value of the staging table, which is `i` in all statements, as it is in the input.
pub(super) fn raw(index: usize) -> String {
    format!("i.c{index}")
}

/// The same as it will be in the table; NULL where it does not fit.
pub(super) fn converted(index: usize, column: &WriteColumn) -> String {
    match column.conversion.is_checked {
        true => format!("TRY_CAST({} AS {})", raw(index), column.declared),
        false => raw(index),
    }
}

impl<'a> Staging<'a> {
    /// Loads all rows of the task.
    pub(super) async fn load(client: &mut Client, task: &WriteTask<'_>, plan: &'a WritePlan) -> Result<Self> {
        let columns = plan.columns.iter().enumerate();
        let declared = columns.map(|(index, column)| format!(", c{index} {}", column.conversion.from));
        let sql = format!("CREATE TEMP TABLE osiris_input ({ROW} BIGINT{})", declared.collect::<String>());
        client.run(sql, "creating the staging table").await?;
        let columns = plan.columns.iter().map(|column| column.source.name.as_str());
        let mut scan = task.ctx.store().scan(task.input).carried().columns(columns);
        if task.config.conflict.dedupe == Dedupe::Last {
            scan = scan.order_by(task.config.fields().order_names());
        }
        let scan = scan.open().await?;
        let ctx = task.ctx.clone();
        let bytes = client.call(move |connection| load(connection, scan, &ctx)).await?;
        Ok(Self { plan, bytes })
    }

    /// Takes the rows out that have this fault, and rejects them. Returns how many they were.
    pub(super) async fn reject(&self, client: &mut Client, task: &WriteTask<'_>, fault: &Fault) -> Result<u64> {
        let is_in_order = task.config.write.order_by.is_none();
        let mut rejected = 0;
        loop {
            let sql = format!(
                "SELECT {ROW}, {} FROM {TABLE} AS i WHERE {} ORDER BY {ROW} LIMIT {AT_ONCE}",
                self.json(),
                fault.condition
            );
            let rows = client.rows(sql, "looking for rows at fault").await?;
            let numbers: Vec<&str> = rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
            if numbers.is_empty() {
                return Ok(rejected);
            }
            let delete = format!("DELETE FROM {TABLE} WHERE {ROW} IN ({})", numbers.join(", "));
            rejected += client.execute(delete, "taking out rows at fault").await?;
            let reject = |row: &Vec<Option<String>>| Reject {
                row_number: row.first().cloned().flatten().filter(|_| is_in_order).and_then(|row| row.parse().ok()),
                column: fault.column.clone(),
                reason: fault.reason.clone(),
                row: row.get(1).cloned().flatten(),
            };
            task.ctx.rejects().push(rows.iter().map(reject).collect()).await?;
        }
    }

    /// A row as JSON, by the names of the input.
    fn json(&self) -> String {
        let field = |(index, column): (usize, &WriteColumn)| {
            format!("{}, CAST({} AS VARCHAR)", quote_text(&column.source.name), raw(index))
        };
        let fields: Vec<String> = self.plan.columns.iter().enumerate().map(field).collect();
        format!("CAST(json_object({}) AS VARCHAR)", fields.join(", "))
    }

    /// Refuses several rows of one key, or keeps the last one. Returns how many were dropped.
    pub(super) async fn deduplicate(&self, client: &mut Client, task: &WriteTask<'_>) -> Result<u64> {
        let key = self.key().map(|(value, _)| value).collect::<Vec<_>>().join(", ");
        if task.config.conflict.dedupe == Dedupe::Last {
            let sql = format!(
                "DELETE FROM {TABLE} WHERE {ROW} NOT IN (SELECT max(i.{ROW}) FROM {TABLE} AS i GROUP BY {key})"
            );
            return client.execute(sql, DOING).await;
        }
        let sql = format!(
            "SELECT min(i.{ROW}), max(i.{ROW}), count(*) FROM {TABLE} AS i GROUP BY {key} HAVING count(*) > 1 ORDER BY 1 \
             LIMIT {MAX_DUPLICATES}"
        );
        let names: Vec<String> = self.plan.key.iter().map(|key| key.name.clone()).collect();
        refuse_duplicates(task.ctx, &names, &client.rows(sql, DOING).await?).await?;
        Ok(0)
    }

    /// The values of the key, and its columns.
    fn key(&self) -> impl Iterator<Item = (String, String)> {
        self.plan.key.iter().filter_map(|key| {
            let index = self.plan.columns.iter().position(|column| column.target == key.name)?;
            Some((converted(index, &self.plan.columns[index]), quote(&key.name)))
        })
    }

    /// How many rows there are, and how many of them have their key in `table`.
    pub(super) async fn counts(&self, client: &mut Client, table: &str) -> Result<(u64, u64)> {
        let rows = client.number(format!("SELECT count(*) FROM {TABLE}"), DOING).await?;
        if self.plan.key.is_empty() {
            return Ok((rows, 0));
        }
        let equal: Vec<String> = self.key().map(|(value, name)| format!("{value} = t.{name}")).collect();
        let equal = equal.join(" AND ");
        let existing =
            format!("SELECT count(*) FROM {TABLE} AS i WHERE EXISTS (SELECT 1 FROM {table} AS t WHERE {equal})");
        Ok((rows, client.number(existing, DOING).await?))
    }

    /// The statement that moves the rows into `table`, in their order: DuckDB keeps it, and a sort would need room for all rows. `conflict` is what follows the key, such as `NOTHING`.
    pub(super) fn insert(&self, table: &str, conflict: Option<&str>) -> String {
        let columns = || self.plan.columns.iter().enumerate();
        let names: Vec<String> = columns().map(|(_, column)| quote(&column.target)).collect();
        let values: Vec<String> = columns().map(|(index, column)| converted(index, column)).collect();
        let insert =
            format!("INSERT INTO {table} ({}) SELECT {} FROM {TABLE} AS i", names.join(", "), values.join(", "));
        match conflict {
            None => insert,
            Some(action) => {
                let key: Vec<String> = self.key().map(|(_, name)| name).collect();
                format!("{insert} ON CONFLICT ({}) DO {action}", key.join(", "))
            }
        }
    }
}

/// Loads the rows of `scan`. Returns their bytes.
fn load(connection: &duckdb::Connection, mut scan: TableScan, ctx: &ExecutionContext) -> Result<u64> {
    let mut loader = BatchLoader::new(connection, format!("INSERT INTO {TABLE} SELECT *"));
    let (mut rows, mut bytes) = (0, 0);
    while let Some(batch) = scan.blocking_next()? {
        let (size, count) = (batch.get_array_memory_size() as u64, batch.num_rows() as u64);
        loader.push(numbered(&batch, rows)?)?;
        (bytes, rows) = (bytes + size, rows + count);
        ctx.progress().add_bytes(size);
        ctx.progress().add_rows(count);
    }
    loader.finish()?;
    Ok(bytes)
}

/// The batch with the numbers of its rows, which begin after `before`.
fn numbered(batch: &RecordBatch, before: u64) -> Result<RecordBatch> {
    let failed = |error| Error::unknown("rows could not be numbered").with_source(error);
    let first = i64::try_from(before).unwrap_or(i64::MAX);
    let numbers: Int64Array = (first + 1..).take(batch.num_rows()).collect();
    let field = Arc::new(Field::new(ROW, DataType::Int64, true));
    let schema = batch.schema();
    // By their numbers, as in the table.
    let named = |(index, field): (usize, &Arc<Field>)| Arc::new(field.as_ref().clone().with_name(format!("c{index}")));
    let fields: Vec<_> = std::iter::once(field).chain(schema.fields().iter().enumerate().map(named)).collect();
    let numbers = std::iter::once(Arc::new(numbers) as ArrayRef);
    let columns = numbers.chain(batch.columns().iter().cloned()).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(failed)
}

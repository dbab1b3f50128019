//! The operations inside a sink's transaction: creating the step's table from SQL, and registering it in the store's
//! catalog.

use duckdb::Connection;

use super::SelectStatement;
use super::file_identity::FileIdentity;
use super::file_rows::profiled;
use super::schema::{Column, StepNote, TableRef, TableSchema};
use super::seal::Entry;
use super::sink::needs_table;
use super::types::ColumnType;
use super::{quote, quote_text, safe_name, statement_error, store_error, table_sql};
use crate::{Error, Result};

/// The transaction of a [`TableSink`](super::TableSink), for steps whose table DuckDB creates itself.
pub struct StoreTransaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) step: &'a str,
    pub(super) schema: &'a mut Option<TableSchema>,
    pub(super) view: &'a mut Option<View>,
    /// The rows of each scan of CSV files in its SELECT.
    pub(super) file_scans: &'a mut Vec<u64>,
    /// Sends what a SELECT returns to another step, where there is to be no table.
    pub(super) send: Option<&'a SendRows<'a>>,
    /// See [`of_script`](Self::of_script).
    pub(super) script: String,
}

/// Sends the rows of a SELECT with these columns, of this script; returns how many.
pub(super) type SendRows<'a> = dyn Fn(&TableSchema, &str, &str) -> Result<u64> + 'a;

/// A step's table that is a view.
pub(super) struct View {
    /// Its rows: to count them again would be to read all of them again.
    pub(super) rows: u64,
    /// The files that it reads itself.
    pub(super) files: Vec<FileIdentity>,
    /// The rows of each scan of CSV files, as its step has counted them; none if DuckDB has.
    pub(super) scans: Vec<u64>,
}

impl StoreTransaction<'_> {
    /// The connection, inside the transaction. Temporary objects made here go with the sink.
    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// Says that what follows is of this SQL of the user's: what he has written in it as the message of an error, in a macro too,
    /// stays in that error. A view that others read does not know it any more.
    pub fn of_script(&mut self, sql: impl Into<String>) {
        self.script = sql.into();
    }

    /// The columns that `select` would have, without running it.
    ///
    /// # Errors
    /// What DuckDB says of the SQL.
    pub fn describe(&self, select: &str) -> Result<Vec<Column>> {
        describe(self.connection, select)
    }

    /// Makes the step's table from one SELECT, or sends its rows over the direct edge, and returns their number. Types that
    /// the store does not keep are converted exactly: TIMESTAMP WITH TIME ZONE becomes an instant. `is_instant` marks
    /// further TIMESTAMP columns as instants.
    ///
    /// # Errors
    /// What DuckDB says of the SQL or the data, column names that differ by case alone, a table made already.
    pub fn create_table_as(&mut self, select: &str, is_instant: &dyn Fn(&Column) -> bool) -> Result<u64> {
        let (schema, select) = self.stored(select, is_instant)?;
        let table = table_sql(self.step);
        let (rows, scans) = profiled(self.connection, || match self.send {
            Some(send) => send(&schema, &select, &self.script).map(Some),
            None => self.execute(&format!("CREATE TABLE {table} AS {select}")).map(|()| None),
        })?;
        (*self.schema, *self.file_scans) = (Some(schema), scans);
        rows.map_or_else(|| count(self.connection, &table), Ok)
    }

    /// The same as a view: nothing is stored, and whoever reads the step's table runs the SELECT again. It must name
    /// its tables in full, since temporary objects go with the sink.
    ///
    /// # Errors
    /// As for [`create_table_as`](Self::create_table_as).
    pub fn create_view_as(&mut self, select: &str, is_instant: &dyn Fn(&Column) -> bool) -> Result<u64> {
        self.create_file_view_as(select, Vec::new(), Vec::new(), is_instant)
    }

    /// The same for a SELECT that reads `files`, as they were before anything of them was read. No step that reads the
    /// view commits unless they are still the same. `scans` are the rows that were counted in CSV files, for each scan of
    /// such files in the SELECT: then no step commits unless it meets them all. Without them DuckDB counts the rows here.
    ///
    /// # Errors
    /// As for [`create_table_as`](Self::create_table_as).
    pub fn create_file_view_as(
        &mut self,
        select: &str,
        files: Vec<FileIdentity>,
        scans: Vec<u64>,
        is_instant: &dyn Fn(&Column) -> bool,
    ) -> Result<u64> {
        if self.send.is_some() {
            return Err(needs_table());
        }
        let (schema, select) = self.stored(select, is_instant)?;
        let table = table_sql(self.step);
        let created = profiled(self.connection, || {
            self.execute(&format!("CREATE VIEW {table} AS {select}"))?;
            if scans.is_empty() { count(self.connection, &table) } else { Ok(scans.iter().sum()) }
        });
        let (rows, read) = FileIdentity::unless_changed(&files, created)?;
        (*self.schema, *self.file_scans) = (Some(schema), read);
        *self.view = Some(View { rows, files, scans });
        Ok(rows)
    }

    fn execute(&self, sql: &str) -> Result<()> {
        let written = if self.script.is_empty() { sql } else { &self.script };
        self.connection.execute_batch(sql).map_err(|error| statement_error(error, "the query failed", written))
    }

    /// The columns as the store keeps them, and a SELECT of them in these types.
    fn stored(&self, select: &str, is_instant: &dyn Fn(&Column) -> bool) -> Result<(TableSchema, String)> {
        if self.schema.is_some() {
            return Err(Error::unknown("the table of this step was made already"));
        }
        let described = self.describe(select)?;
        let mut expressions = Vec::with_capacity(described.len());
        let mut columns = Vec::with_capacity(described.len());
        for column in described {
            let stored = column.column_type.stored();
            let name = quote(&column.name);
            expressions.push(if stored.sql() == column.column_type.sql() {
                name
            } else {
                format!("CAST({name} AS {}) AS {name}", stored.sql())
            });
            let stored = Column::new(column.name, stored);
            let marked = stored.column_type == ColumnType::Timestamp && is_instant(&stored);
            columns.push(if marked { Column::new(stored.name, ColumnType::Instant) } else { stored });
        }
        Ok((TableSchema::new(columns)?, format!("SELECT {} FROM ({select}\n)", expressions.join(", "))))
    }
}

/// Columns and types of a SELECT, by DuckDB's binder.
///
/// To prepare several statements is to execute all but the last: the text is refused unless DuckDB's parser finds one.
pub(super) fn describe(connection: &Connection, select: &str) -> Result<Vec<Column>> {
    SelectStatement::check_sole(select)?;
    let failed = |error| store_error(error, "the query is not valid");
    let mut statement = connection.prepare(&format!("DESCRIBE {select}")).map_err(failed)?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).map_err(failed)?;
    rows.map(|row| {
        let (name, column_type) = row.map_err(failed)?;
        Ok(Column::new(name, ColumnType::parse(&column_type)))
    })
    .collect()
}

/// The number of rows of a table, counted by DuckDB.
pub(super) fn count(connection: &Connection, table: &str) -> Result<u64> {
    connection
        .query_row(&format!("SELECT count(*)::UBIGINT FROM {table}"), [], |row| row.get(0))
        .map_err(|error| store_error(error, "the rows could not be counted"))
}

/// Does all of `work` or nothing.
pub(super) fn atomic(connection: &Connection, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let failed = |error| store_error(error, "the run store could not be changed");
    connection.execute_batch("BEGIN TRANSACTION").map_err(failed)?;
    let done = work().and_then(|()| connection.execute_batch("COMMIT").map_err(failed));
    if done.is_err() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    done
}

/// Removes the table of `step` and its entry in the catalog.
pub(super) fn drop_table(connection: &Connection, step: &str) -> Result<()> {
    // A table and its entry are committed together. To look for the table takes as long as there are tables.
    if holds(connection, "SELECT count(*) > 0 FROM osiris.tables WHERE step = ?", step)? {
        return drop_without_entry(connection, step);
    }
    let sql = format!("DELETE FROM osiris.sent WHERE step = {};", quote_text(step));
    connection.execute_batch(&sql).map_err(not_dropped)
}

/// The same where the entry may be gone, since SQL has removed it.
pub(super) fn drop_without_entry(connection: &Connection, step: &str) -> Result<()> {
    let views = "SELECT count(*) > 0 FROM duckdb_views() WHERE schema_name = 'steps' AND view_name = ?";
    let kind = if holds(connection, views, step)? { "VIEW" } else { "TABLE" };
    let (table, name) = (table_sql(step), quote_text(step));
    let mut sql = format!(
        "DELETE FROM osiris.sent WHERE step = {name}; DELETE FROM osiris.tables WHERE step = {name};
         DROP {kind} IF EXISTS {table};"
    );
    if safe_name(step) != step {
        sql.push_str(&format!("DROP VIEW IF EXISTS {};", table_sql(&safe_name(step))));
    }
    connection.execute_batch(&sql).map_err(not_dropped)
}

fn holds(connection: &Connection, sql: &str, step: &str) -> Result<bool> {
    connection.query_row(sql, [step], |row| row.get(0)).map_err(not_dropped)
}

fn not_dropped(error: duckdb::Error) -> Error {
    store_error(error, "an earlier table could not be dropped")
}

/// Registers a finished table in the catalog, and creates the view with its safe name.
pub(super) fn enter_table(connection: &Connection, table: &TableRef, note: &StepNote) -> Result<Entry> {
    let columns: Vec<_> = table
        .schema()
        .columns()
        .iter()
        .map(|column| serde_json::json!([column.name, column.column_type.to_string()]))
        .collect();
    let step = table.step();
    let entry = Entry {
        rows: table.rows(),
        columns: serde_json::Value::from(columns).to_string(),
        note: serde_json::to_string(note).map_err(damaged)?,
    };
    let mut sql = format!(
        "INSERT INTO osiris.tables VALUES ({}, {}, {}, {});",
        quote_text(step),
        entry.rows,
        quote_text(&entry.columns),
        quote_text(&entry.note)
    );
    let safe = safe_name(step);
    if safe != step {
        sql.push_str(&format!("CREATE OR REPLACE VIEW {} AS SELECT * FROM {};", table_sql(&safe), table.sql()));
    }
    connection
        .execute_batch(&sql)
        .map_err(|error| store_error(error, "the table could not be registered in the run store"))?;
    Ok(entry)
}

/// Keeps the note of rows that went to another step.
pub(super) fn enter_sent(connection: &Connection, step: &str, note: &StepNote) -> Result<()> {
    let (step, note) = (quote_text(step), quote_text(&serde_json::to_string(note).map_err(damaged)?));
    let failed = |error| store_error(error, "the rows that were sent could not be registered in the run store");
    connection.execute_batch(&format!("INSERT INTO osiris.sent VALUES ({step}, {note});")).map_err(failed)
}

/// The steps that have a table.
pub(super) fn committed_steps(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT step FROM osiris.tables").map_err(unreadable)?;
    let steps = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect);
    steps.map_err(unreadable)
}

fn unreadable(error: duckdb::Error) -> Error {
    store_error(error, "the catalog of the run store could not be read")
}

/// The table of `step`, from the catalog.
pub(super) fn committed_table(connection: &Connection, step: &str) -> Result<Option<TableRef>> {
    let sql = "SELECT rows, columns, note FROM osiris.tables WHERE step = ?";
    let mut statement = connection.prepare(sql).map_err(unreadable)?;
    let mut rows = statement.query([step]).map_err(unreadable)?;
    let Some(row) = rows.next().map_err(unreadable)? else { return Ok(None) };
    let rows: u64 = row.get(0).map_err(unreadable)?;
    let columns: String = row.get(1).map_err(unreadable)?;
    let note: String = row.get(2).map_err(unreadable)?;
    let columns: Vec<(String, String)> = serde_json::from_str(&columns).map_err(damaged)?;
    let columns = columns.into_iter().map(|(name, column)| Column::new(name, ColumnType::parse(&column))).collect();
    let note: StepNote = serde_json::from_str(&note).map_err(damaged)?;
    Ok(Some(TableRef::over_files(step, TableSchema::new(columns)?, rows, &note)))
}

fn damaged(error: serde_json::Error) -> Error {
    Error::unknown("the catalog of the run store is damaged").with_source(error)
}

/// The note of the table of `step`, or of its rows where they went to another step.
pub(super) fn committed_note(connection: &Connection, step: &str) -> Result<Option<StepNote>> {
    let mut statement = connection
        .prepare(
            "SELECT note FROM osiris.tables WHERE step = ?1 UNION ALL SELECT note FROM osiris.sent WHERE step = ?1",
        )
        .map_err(unreadable)?;
    let mut rows = statement.query([step]).map_err(unreadable)?;
    let Some(row) = rows.next().map_err(unreadable)? else { return Ok(None) };
    let note: String = row.get(0).map_err(unreadable)?;
    serde_json::from_str(&note).map(Some).map_err(damaged)
}

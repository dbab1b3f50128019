//! The second safeguard after the check of SQL: the tables of other steps must be the same before and after a step's
//! SQL has run.
//!
//! SQL of a pipeline is accepted by its parse tree. Should it change a committed table anyway, in its own transaction
//! or over another connection that the engine opens, the step does not commit and the run ends: an unintended change is
//! never read by later steps, and a resumed run relies only on the list that this process has made.
//!
//! To compare all tables whenever a step commits costs the square of their number. Beyond [`COMPARED_TABLES`] it is the
//! tables that a step reads which are compared, before it begins, and all of them once, at the end of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use duckdb::{Connection, OptionalExt as _, Row};

use super::{quote_text, store_error, table_sql};
use crate::{Error, Result};

/// Up to so many tables, each step whose SQL has run compares them all before it commits.
const COMPARED_TABLES: usize = 16;

/// A row of `osiris.tables`, without the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) rows: u64,
    pub(super) columns: String,
    pub(super) note: String,
}

/// What a step leaves: a view keeps no rows that could change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    View,
}

/// What this process knows to be committed.
pub(super) struct Seal {
    known: Mutex<Committed>,
    /// Sees all committed data, unlike a transaction that began before.
    outside: Mutex<Connection>,
}

/// The committed tables as one transaction sees them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Committed {
    entries: BTreeMap<String, Entry>,
    tables: BTreeMap<String, State>,
}

/// Detects whether a table was changed. An UPDATE in place marks the columns until a checkpoint, of which a run has
/// none; one that moves rows gives them new ids, as an INSERT does; a DELETE changes the number of rows.
#[derive(Debug, PartialEq, Eq)]
struct State {
    rows: u64,
    last: Option<i64>,
    updated: bool,
}

impl Seal {
    /// For the store behind `connection`, which holds what an earlier run of the same store has left.
    pub(super) fn new(connection: &Connection) -> Result<Self> {
        let outside = connection.try_clone().map_err(failed)?;
        Ok(Self { known: Mutex::new(Committed::read(connection)?), outside: Mutex::new(outside) })
    }

    fn known(&self) -> MutexGuard<'_, Committed> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outside(&self) -> MutexGuard<'_, Connection> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the transaction of `connection` sees, before SQL of the pipeline runs in it. None where there are too many tables to
    /// compare.
    pub(super) fn before_sql(&self, connection: &Connection) -> Result<Option<Committed>> {
        if self.known().is_large() { Ok(None) } else { Committed::read(connection).map(Some) }
    }

    /// Commits the transaction of `step`. If SQL of the pipeline has run in it, the tables of other steps must be
    /// `compared` with what this process knows.
    ///
    /// # Errors
    /// They have changed, or the commit fails.
    pub(super) fn commit(
        &self,
        connection: &Connection,
        step: &str,
        entry: Entry,
        kind: Kind,
        compared: bool,
    ) -> Result<()> {
        let mut known = self.known();
        let outside = self.outside();
        if compared && !known.is_large() {
            known.ensure_unchanged(&outside)?;
        }
        let committed = connection.execute_batch("COMMIT");
        // Row ids are given when a transaction commits; and an interrupt may come after it has.
        known.read_again(&outside, step, kind)?;
        committed.map_err(|error| store_error(error, "the table could not be committed"))?;
        known.entries.insert(step.to_owned(), entry);
        Ok(())
    }

    /// Removes the table of `step` by `work`. It is done once a table that was there is gone, whatever the work says: an
    /// interrupt may come after its commit.
    pub(super) fn remove(&self, step: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut known = self.known();
        let was_there = known.entries.contains_key(step);
        let kind = if known.tables.contains_key(step) { Kind::Table } else { Kind::View };
        let worked = work();
        known.read_again(&self.outside(), step, kind)?;
        if was_there && !known.entries.contains_key(step) { Ok(()) } else { worked }
    }

    /// Checks the tables of `steps`, where they were not compared when a step committed: before another reads them.
    ///
    /// # Errors
    /// One has changed since it was committed.
    pub(super) fn ensure_as_committed(&self, steps: &[String]) -> Result<()> {
        let known = self.known();
        if !known.is_large() {
            return Ok(());
        }
        let outside = self.outside();
        for step in steps {
            if entry(&outside, step)?.as_ref() != known.entries.get(step) {
                return Err(changed("the list of finished steps"));
            }
            let Some(state) = known.tables.get(step) else { continue };
            // A table that is gone has no state.
            if read_state(&outside, step).ok().as_ref() != Some(state) {
                return Err(changed(&format!("the table of step `{step}`")));
            }
        }
        Ok(())
    }

    /// Checks all tables, where they were not compared when a step committed: at the end of a run.
    ///
    /// # Errors
    /// One has changed since it was committed.
    pub(super) fn ensure_all_as_committed(&self) -> Result<()> {
        let known = self.known();
        if known.is_large() { known.ensure_unchanged(&self.outside()) } else { Ok(()) }
    }
}

impl Committed {
    /// As the transaction of `connection` sees it.
    pub(super) fn read(connection: &Connection) -> Result<Self> {
        let entries = entries(connection)?;
        let kept = kept_tables(connection)?;
        let steps = entries.keys().filter(|step| kept.contains(*step));
        let tables = steps.map(|step| Ok((step.clone(), read_state(connection, step)?)));
        Ok(Self { tables: tables.collect::<Result<_>>()?, entries })
    }

    fn is_large(&self) -> bool {
        self.tables.len() > COMPARED_TABLES
    }

    /// Reads one step again, which this process has changed itself.
    fn read_again(&mut self, connection: &Connection, step: &str, kind: Kind) -> Result<()> {
        self.entries.remove(step);
        self.tables.remove(step);
        let Some(entry) = entry(connection, step)? else { return Ok(()) };
        self.entries.insert(step.to_owned(), entry);
        if kind == Kind::Table {
            self.tables.insert(step.to_owned(), read_state(connection, step)?);
        }
        Ok(())
    }

    /// Checks that nothing has changed, for the transaction of `connection`.
    ///
    /// # Errors
    /// Something has.
    pub(super) fn ensure_unchanged(&self, connection: &Connection) -> Result<()> {
        let now = Self::read(connection)?;
        if now == *self {
            return Ok(());
        }
        let table = self.tables.iter().find(|(step, state)| now.tables.get(*step) != Some(state));
        Err(changed(&table.map_or_else(
            || "the list of finished steps".to_owned(),
            |(step, _)| format!("the table of step `{step}`"),
        )))
    }
}

fn changed(what: &str) -> Error {
    Error::integrity(format!("the SQL of this step has changed {what}"))
        .with_hint("a step may only read the tables of others: remove what writes from its SQL, and run the pipeline from the start")
}

/// All rows of `osiris.tables`.
fn entries(connection: &Connection) -> Result<BTreeMap<String, Entry>> {
    let mut statement = connection.prepare("SELECT rows, columns, note, step FROM osiris.tables").map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(3)?, entry_of(row)?))).map_err(failed)?;
    rows.map(|row| row.map_err(failed)).collect()
}

/// The row of `step`, if it has one.
fn entry(connection: &Connection, step: &str) -> Result<Option<Entry>> {
    let sql = "SELECT rows, columns, note FROM osiris.tables WHERE step = ?";
    connection.query_row(sql, [step], entry_of).optional().map_err(failed)
}

fn entry_of(row: &Row<'_>) -> duckdb::Result<Entry> {
    Ok(Entry { rows: row.get(0)?, columns: row.get(1)?, note: row.get(2)? })
}

/// The steps that have a table, and not a view.
fn kept_tables(connection: &Connection) -> Result<BTreeSet<String>> {
    let sql = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'steps'";
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let names = statement.query_map([], |row| row.get(0)).map_err(failed)?;
    names.map(|name| name.map_err(failed)).collect()
}

fn read_state(connection: &Connection, step: &str) -> Result<State> {
    let table = table_sql(step);
    let sql = format!(
        "SELECT count(*)::UBIGINT, max(rowid), \
         (SELECT coalesce(bool_or(has_updates), false) FROM pragma_storage_info({})) FROM {table}",
        quote_text(&table)
    );
    let state = |row: &Row<'_>| Ok(State { rows: row.get(0)?, last: row.get(1)?, updated: row.get(2)? });
    connection.query_row(&sql, [], state).map_err(failed)
}

fn failed(error: duckdb::Error) -> Error {
    store_error(error, "the tables of earlier steps could not be compared")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE SCHEMA osiris; CREATE SCHEMA steps;
                 CREATE TABLE osiris.tables (step VARCHAR, rows UBIGINT, columns VARCHAR, note VARCHAR);
                 CREATE TABLE steps.a (v INTEGER); INSERT INTO osiris.tables VALUES ('a', 0, '', ''), ('b', 0, '', '');
                 CREATE TABLE steps.b (v INTEGER);",
            )
            .unwrap();
        connection
    }

    fn compared(seal: &Seal, connection: &Connection) -> Result<()> {
        seal.known().ensure_unchanged(connection)
    }

    #[test]
    fn a_table_that_is_gone_is_removed_even_if_its_removal_says_that_it_was_interrupted() {
        let connection = store();
        let seal = Seal::new(&connection).unwrap();
        let interrupted = || Err(Error::cancelled("interrupted"));
        let removed = seal.remove("a", || {
            connection.execute_batch("DROP TABLE steps.a; DELETE FROM osiris.tables WHERE step = 'a'").unwrap();
            interrupted()
        });
        removed.unwrap();
        compared(&seal, &connection).unwrap();
        assert!(seal.remove("b", interrupted).is_err(), "it is still there");
        assert!(seal.remove("never there", interrupted).is_err());
        compared(&seal, &connection).unwrap();
        connection.execute_batch("DROP TABLE steps.b").unwrap();
        assert!(compared(&seal, &connection).is_err(), "nobody removed it");
    }
}

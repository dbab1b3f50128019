//! The second safeguard after the check of SQL: the tables of other steps must be the same before and after a step's
//! SQL has run.
//!
//! SQL of a pipeline is accepted by its parse tree. Should it change a committed table anyway, in its own transaction
//! or over another connection that the engine opens, the run ends with an error. A change that was committed is dropped
//! with its table, so that a resumed run makes the table again instead of taking what it finds for the truth.
//!
//! To compare all tables whenever a step commits costs the square of their number. Up to [`COMPARED_TABLES`] that is
//! done: no step whose SQL has run commits after a change. Beyond, the tables that a step reads are compared before it
//! begins, and all of them once, at the end of the run: a step that is already reading a table may read a change of it,
//! and the run that has read it does not succeed. A run that is killed before a change was found leaves it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use duckdb::{Connection, OptionalExt as _, Row};

use super::transaction::{atomic, drop_without_entry};
use super::{quote_text, store_error, table_sql};
use crate::{Error, ErrorKind, Result};

/// The limit up to which each step whose SQL has run compares all tables before it commits.
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
    /// Up to so many tables, all are compared before a step commits.
    limit: usize,
    /// Whether there were ever more. From then on a change may have been missed, even if tables go.
    was_large: AtomicBool,
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
        Ok(Self {
            limit: COMPARED_TABLES,
            was_large: AtomicBool::new(false),
            known: Mutex::new(Committed::read(connection)?),
            outside: Mutex::new(outside),
        })
    }

    /// Whether there are too many tables to compare them all when a step commits, or were.
    fn is_large(&self, known: &Committed) -> bool {
        let is_large = known.tables.len() > self.limit;
        self.was_large.fetch_or(is_large, Relaxed) || is_large
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
        if self.is_large(&self.known()) { Ok(None) } else { Committed::read(connection).map(Some) }
    }

    /// Commits the transaction of `step`. If SQL of the pipeline has run in it, the tables of other steps must be
    /// `compared` with what this process knows.
    ///
    /// # Errors
    /// They have changed, and those that have are dropped; or the commit fails.
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
        if compared && !self.is_large(&known) {
            known.ensure_all(&outside)?;
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

    /// Checks the tables that `step` reads, where they were not compared when a step committed: before it begins. `reads` has
    /// the steps that each step reads.
    ///
    /// # Errors
    /// One has changed since it was committed; it is dropped.
    pub(super) fn ensure_as_committed(&self, step: &str, reads: &BTreeMap<String, Vec<String>>) -> Result<()> {
        let mut known = self.known();
        if !self.is_large(&known) {
            return Ok(());
        }
        let outside = self.outside();
        for read in known.read_by(step, reads) {
            if !known.is_unchanged(&outside, read)? {
                return known.discard(&outside, std::slice::from_ref(read));
            }
        }
        Ok(())
    }

    /// Checks all tables, where they were not compared when a step committed: at the end of a run.
    ///
    /// # Errors
    /// Some have changed since they were committed; they are dropped.
    pub(super) fn ensure_all_as_committed(&self) -> Result<()> {
        let mut known = self.known();
        if self.is_large(&known) { known.ensure_all(&self.outside()) } else { Ok(()) }
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

    /// Checks that nothing has changed, for the transaction of `connection`, in which the SQL of a step has run.
    ///
    /// # Errors
    /// Something has.
    pub(super) fn ensure_unchanged(&self, connection: &Connection) -> Result<()> {
        let changed = self.changed_in(&Self::read(connection)?);
        changed.first().map_or(Ok(()), |step| {
            Err(violation(format!("the SQL of this step has changed the table of step `{step}`")))
        })
    }

    /// Checks what is committed, and discards what has changed.
    fn ensure_all(&mut self, outside: &Connection) -> Result<()> {
        let changed = self.changed_in(&Self::read(outside)?);
        self.discard(outside, &changed)
    }

    /// The steps whose tables or entries are others now.
    fn changed_in(&self, now: &Self) -> Vec<String> {
        let steps: BTreeSet<&String> = self.entries.keys().chain(now.entries.keys()).collect();
        let is_same = |step: &String| {
            self.entries.get(step) == now.entries.get(step) && self.tables.get(step) == now.tables.get(step)
        };
        steps.into_iter().filter(|step| !is_same(step)).cloned().collect()
    }

    /// The steps that `step` reads: a view reads what it was made of when it is read.
    fn read_by<'a>(&self, step: &str, reads: &'a BTreeMap<String, Vec<String>>) -> BTreeSet<&'a String> {
        let mut found = BTreeSet::new();
        let mut next = Vec::from_iter(reads.get(step));
        while let Some(inputs) = next.pop() {
            for input in inputs {
                if found.insert(input) && !self.tables.contains_key(input) {
                    next.extend(reads.get(input));
                }
            }
        }
        found
    }

    /// Whether what `step` has committed is still that.
    fn is_unchanged(&self, outside: &Connection, step: &str) -> Result<bool> {
        if entry(outside, step)?.as_ref() != self.entries.get(step) {
            return Ok(false);
        }
        let Some(state) = self.tables.get(step) else { return Ok(true) };
        match read_state(outside, step) {
            Ok(now) => Ok(now == *state),
            // It is gone, or no table any more.
            Err(error) if error.kind() == ErrorKind::Validation => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Drops the tables of these steps, which have changed since they were committed: a resumed run makes them again.
    ///
    /// # Errors
    /// There are some.
    fn discard(&mut self, outside: &Connection, changed: &[String]) -> Result<()> {
        let Some(first) = changed.first() else { return Ok(()) };
        let error = violation(format!("SQL of a step has changed the table of step `{first}` after it was committed"));
        let dropped = changed.iter().try_for_each(|step| {
            atomic(outside, || drop_without_entry(outside, step))?;
            self.read_again(outside, step, Kind::Table)
        });
        Err(match dropped {
            Ok(()) => error,
            Err(failed) => error.with_source(failed),
        })
    }
}

fn violation(message: String) -> Error {
    Error::integrity(message)
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
                 CREATE TABLE osiris.sent (step VARCHAR, note VARCHAR);
                 CREATE TABLE steps.a (v INTEGER); INSERT INTO osiris.tables VALUES ('a', 0, '', ''), ('b', 0, '', '');
                 CREATE TABLE steps.b (v INTEGER);",
            )
            .unwrap();
        connection
    }

    fn compared(seal: &Seal, connection: &Connection) -> Result<()> {
        seal.known().ensure_unchanged(connection)
    }

    /// For so many tables at most, all are compared when a step commits.
    fn limited(connection: &Connection, limit: usize) -> Seal {
        Seal { limit, ..Seal::new(connection).unwrap() }
    }

    fn reads(steps: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |read: &[&str]| read.iter().map(|step| (*step).to_owned()).collect();
        steps.iter().map(|(step, read)| ((*step).to_owned(), owned(read))).collect()
    }

    /// Checks the error about the table of `step`, and that neither the table nor its entry is left.
    fn assert_discarded(connection: &Connection, checked: Result<()>, step: &str) {
        let error = checked.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        let said = format!("SQL of a step has changed the table of step `{step}` after it was committed");
        assert_eq!(error.message(), said);
        assert!(entry(connection, step).unwrap().is_none());
        assert!(connection.prepare(&format!("FROM {}", table_sql(step))).is_err());
    }

    #[test]
    fn a_change_is_found_before_a_step_reads_the_table_which_is_dropped() {
        for change in [
            "INSERT INTO steps.a VALUES (1)",
            "DROP TABLE steps.a",
            "DELETE FROM osiris.tables WHERE step = 'a'",
            "DROP TABLE steps.a; CREATE VIEW steps.a AS SELECT 1 AS v",
        ] {
            let connection = store();
            let seal = limited(&connection, 0);
            seal.ensure_as_committed("reader", &reads(&[("reader", &["b", "a"])])).unwrap();
            connection.execute_batch(change).unwrap();
            seal.ensure_as_committed("reader", &reads(&[("reader", &["b"]), ("b", &["a"])])).unwrap();
            let checked = seal.ensure_as_committed("reader", &reads(&[("reader", &["b", "a"])]));
            assert_discarded(&connection, checked, "a");
            seal.ensure_all_as_committed().unwrap();
        }
    }

    #[test]
    fn a_change_is_found_behind_the_views_that_a_step_reads() {
        let connection = store();
        connection
            .execute_batch(
                "CREATE VIEW steps.v AS FROM steps.a; CREATE VIEW steps.w AS FROM steps.v;
                 INSERT INTO osiris.tables VALUES ('v', 0, '', ''), ('w', 0, '', '')",
            )
            .unwrap();
        let seal = limited(&connection, 0);
        let reads = reads(&[("reader", &["b", "w"]), ("w", &["v"]), ("v", &["a"])]);
        seal.ensure_as_committed("reader", &reads).unwrap();
        connection.execute_batch("INSERT INTO steps.a VALUES (1)").unwrap();
        assert_discarded(&connection, seal.ensure_as_committed("reader", &reads), "a");
    }

    #[test]
    fn a_change_that_nobody_has_read_is_found_at_the_end_though_tables_have_gone() {
        let connection = store();
        let seal = limited(&connection, 1);
        connection.execute_batch("INSERT INTO steps.a VALUES (1); INSERT INTO steps.b VALUES (1)").unwrap();
        assert_discarded(&connection, seal.ensure_as_committed("reader", &reads(&[("reader", &["a"])])), "a");
        assert_discarded(&connection, seal.ensure_all_as_committed(), "b");
        seal.ensure_all_as_committed().unwrap();
    }

    #[test]
    fn a_change_that_is_found_when_a_step_commits_is_dropped_too() {
        let connection = store();
        let seal = limited(&connection, 16);
        connection.execute_batch("DELETE FROM osiris.tables WHERE step = 'a'").unwrap();
        let entry = Entry { rows: 0, columns: String::new(), note: String::new() };
        assert_discarded(&connection, seal.commit(&connection, "c", entry, Kind::Table, true), "a");
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

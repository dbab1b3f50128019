//! Rows that meet others by their key: first into a temporary table, whose columns have the types and collations of the
//! table's, so that keys are equal there if they are equal in the table; then into the table, in ranges.

use osiris_core::{Error, Result, Written};
use osiris_sql::write::{Dedupe, OnConflict};
use sqlx::AssertSqlSafe;

use super::loader::{halves, insert, insert_into, names};
use super::task::{WriteColumn, WritePlan, WriteTask};
use crate::client::{Client, quote};

const DOING: &str = "merging rows";
/// The column that numbers the rows of the staging table.
pub(super) const ROW: &str = "osiris_row";
const TABLE: &str = "temp.osiris_input";
/// Rows that are merged by one statement.
const RANGE: u64 = 10_000;

/// The staging table.
pub(super) struct Staging<'a> {
    plan: &'a WritePlan,
}

impl<'a> Staging<'a> {
    /// Creates it.
    pub(super) async fn create(client: &mut Client, plan: &'a WritePlan) -> Result<Self> {
        let column = |column: &WriteColumn| {
            let key = plan.key.iter().find(|key| key.name == column.target);
            let collation = key.map(|key| format!(" COLLATE {}", quote(&key.collation))).unwrap_or_default();
            format!("{} {}{collation}", quote(&column.target), column.declared)
        };
        let columns: Vec<String> = plan.columns.iter().map(column).collect();
        let sql = format!("CREATE TEMP TABLE osiris_input ({ROW} INTEGER PRIMARY KEY, {})", columns.join(", "));
        client.run(&sql, "creating the staging table").await?;
        Ok(Self { plan })
    }

    /// The beginning of an INSERT of the number of a row and its values.
    pub(super) fn insert(&self) -> String {
        format!("INSERT INTO {TABLE} ({ROW}, {})", names(&self.plan.columns))
    }

    /// Merges the rows that were loaded, whose numbers are up to `last`.
    pub(super) async fn merge(&self, client: &mut Client, task: &WriteTask<'_>, last: u64) -> Result<Written> {
        let mut written = Written { ignored: self.deduplicate(client, task).await?, ..Written::default() };
        let mut waiting: Vec<_> =
            (1..=last).step_by(10_000).map(|start| start..last.min(start + RANGE - 1) + 1).collect();
        waiting.reverse();
        while let Some(range) = waiting.pop() {
            let of_range = format!("{ROW} >= {} AND {ROW} < {}", range.start, range.end);
            let rows = client.number(&format!("SELECT count(*) FROM {TABLE} WHERE {of_range}"), DOING).await?;
            if rows == 0 {
                continue;
            }
            let existing = client.number(&self.existing(task, &of_range), DOING).await?;
            let updates = self.updates(task);
            let query = sqlx::query(AssertSqlSafe(self.statement(task, &of_range, updates))).persistent(false);
            match insert(client, query, if updates { rows } else { rows - existing }).await? {
                None => {
                    written.inserted += rows - existing;
                    *(if updates { &mut written.updated } else { &mut written.ignored }) += existing;
                    task.ctx.progress().add_rows(rows);
                }
                Some(fault) if range.end - range.start == 1 => {
                    let columns = names(&self.plan.columns);
                    let row = client.row(&format!("SELECT {columns} FROM {TABLE} WHERE {of_range}"), DOING).await?;
                    let sources = self.plan.columns.iter().map(|column| column.source.name.clone());
                    let row =
                        sources.zip(row.into_iter().map(serde_json::Value::from)).collect::<serde_json::Map<_, _>>();
                    let number = task.config.order_by.is_none().then_some(range.start);
                    task.ctx.rejects().push(vec![fault.reject(number, row.into(), &self.plan.columns)]).await?;
                }
                Some(_) => waiting.extend(halves(&range, range.start + (range.end - range.start) / 2)),
            }
        }
        Ok(written)
    }

    /// Refuses several rows of one key, or keeps the last one. Returns how many were dropped.
    async fn deduplicate(&self, client: &mut Client, task: &WriteTask<'_>) -> Result<u64> {
        let key: Vec<String> = self.plan.key.iter().map(|column| quote(&column.name)).collect();
        let key = key.join(", ");
        if task.config.dedupe == Dedupe::Last {
            let sql = format!("DELETE FROM {TABLE} WHERE {ROW} NOT IN (SELECT max({ROW}) FROM {TABLE} GROUP BY {key})");
            return client.run(&sql, DOING).await;
        }
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {TABLE} GROUP BY {key} HAVING count(*) > 1)");
        match client.number(&sql, DOING).await? {
            0 => Ok(0),
            keys => Err(Error::validation(format!(
                "{keys} keys ({}) have several rows in the input",
                key.replace('"', "`")
            ))
            .with_hint("remove the duplicates in a step before, or set `dedupe: last` with `order_by`")),
        }
    }

    /// Whether rows that exist are replaced; a row that is all key has nothing to replace.
    fn updates(&self, task: &WriteTask<'_>) -> bool {
        task.config.on_conflict == OnConflict::Update && self.plan.columns.iter().any(|column| !column.is_key)
    }

    /// How many rows of a range have their key in the table.
    fn existing(&self, task: &WriteTask<'_>, of_range: &str) -> String {
        // The left side decides by which collation values are equal: that of the key.
        let equal = |name: &String| format!("i.{name} = t.{name}");
        let equal: Vec<String> =
            self.plan.key.iter().map(|column| quote(&column.name)).map(|name| equal(&name)).collect();
        format!(
            "SELECT count(*) FROM {TABLE} i WHERE {of_range} AND EXISTS (SELECT 1 FROM main.{} t WHERE {})",
            quote(&task.config.table),
            equal.join(" AND ")
        )
    }

    fn statement(&self, task: &WriteTask<'_>, of_range: &str, updates: bool) -> String {
        let (columns, key) = (&self.plan.columns, &self.plan.key);
        let key: Vec<String> = key.iter().map(|column| quote(&column.name)).collect();
        let set = |column: &WriteColumn| format!("{0} = excluded.{0}", quote(&column.target));
        let set: Vec<String> = columns.iter().filter(|column| !column.is_key).map(set).collect();
        let action = if updates { format!("UPDATE SET {}", set.join(", ")) } else { "NOTHING".to_owned() };
        let table = format!("main.{}", quote(&task.config.table));
        format!(
            "{} SELECT {} FROM {TABLE} WHERE {of_range} ORDER BY {ROW} ON CONFLICT ({}) DO {action}",
            insert_into(&table, columns),
            names(columns),
            key.join(", ")
        )
    }
}

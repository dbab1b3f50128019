//! Rows that meet others by their key: first into a temporary table, whose columns have the types and collations of the
//! table's, so that keys are equal there if they are equal in the table; then into the table, in ranges. Its columns have
//! names of their own, which no column of the table can take.

use osiris_core::{Result, Written};
use osiris_sql::write::{
    Dedupe, MAX_DUPLICATES, OnConflict, PendingRanges, RefusingKeys, is_single, refuse_duplicates,
};
use sqlx::AssertSqlSafe;

use super::loader::{insert, insert_into, prepare};
use super::task::{WriteColumn, WritePlan, WriteTask};
use crate::client::{Client, quote};

const DOING: &str = "merging rows";
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
        let column = |(index, column): (usize, &WriteColumn)| {
            let key = plan.key.iter().find(|key| key.name == column.target);
            let collation = key.map(|key| format!(" COLLATE {}", quote(&key.collation))).unwrap_or_default();
            format!("c{index} {}{collation}", column.conversion.to.declared())
        };
        let columns: Vec<String> = plan.columns.iter().enumerate().map(column).collect();
        let columns = columns.join(", ");
        let sql = format!("CREATE TEMP TABLE osiris_input (row INTEGER PRIMARY KEY, {columns}, altered INTEGER)");
        client.run(&sql, "creating the staging table").await?;
        Ok(Self { plan })
    }

    /// The columns with the values, as a list.
    fn columns(&self) -> String {
        (0..self.plan.columns.len()).map(|index| format!("c{index}")).collect::<Vec<_>>().join(", ")
    }

    /// The columns with the key, and the key of the table.
    fn key(&self) -> impl Iterator<Item = (String, String)> {
        self.plan.key.iter().filter_map(|key| {
            let index = self.plan.columns.iter().position(|column| column.target == key.name)?;
            Some((format!("c{index}"), quote(&key.name)))
        })
    }

    /// The beginning of an INSERT of the number of a row, its values, and how many of them are altered.
    pub(super) fn insert(&self) -> String {
        format!("INSERT INTO {TABLE} (row, {}, altered)", self.columns())
    }

    /// Merges the rows that were loaded, whose numbers are up to `last`.
    pub(super) async fn merge(&self, client: &mut Client, task: &WriteTask<'_>, last: u64) -> Result<Written> {
        let mut written = Written { ignored: self.deduplicate(client, task).await?, ..Written::default() };
        let mut refusing = RefusingKeys::default();
        self.merge_ranges(client, task, last, &mut written, &mut refusing).await?;
        refusing.enforce_limit(task.ctx).map_err(|error| refusing.explain(error))?;
        Ok(written)
    }

    async fn merge_ranges(
        &self,
        client: &mut Client,
        task: &WriteTask<'_>,
        last: u64,
        written: &mut Written,
        refusing: &mut RefusingKeys,
    ) -> Result<()> {
        let updates = self.updates(task);
        prepare(client, &self.statement(task, "row = 0", updates)).await?;
        let mut pending = PendingRanges::of_size(1..last + 1, RANGE);
        while let Some(range) = pending.next_range() {
            let of_range = format!("row >= {} AND row < {}", range.start, range.end);
            let [rows, existing, altered] = self.counts(client, task, &of_range, updates).await?;
            if rows == 0 {
                continue;
            }
            let query = sqlx::query(AssertSqlSafe(self.statement(task, &of_range, updates))).persistent(false);
            match insert(client, query, if updates { rows } else { rows - existing }).await? {
                None => {
                    written.inserted += rows - existing;
                    *(if updates { &mut written.updated } else { &mut written.ignored }) += existing;
                    written.altered += altered;
                    task.ctx.progress().add_rows(rows);
                }
                Some(fault) if is_single(&range) => {
                    if let Some(key) = fault.violated_key() {
                        refusing.add(key);
                    }
                    let sql = format!("SELECT {} FROM {TABLE} WHERE {of_range}", self.columns());
                    let row = client.row(&sql, DOING).await?;
                    let sources = self.plan.columns.iter().map(|column| column.source.name.clone());
                    let row =
                        sources.zip(row.into_iter().map(serde_json::Value::from)).collect::<serde_json::Map<_, _>>();
                    let number = task.config.write.order_by.is_none().then_some(range.start);
                    let pushed = task.ctx.rejects().push(vec![fault.reject(number, row.into(), &self.plan.columns)]);
                    pushed.await.map_err(|error| refusing.explain(error))?;
                }
                Some(_) => pending.split(&range, None),
            }
        }
        Ok(())
    }

    /// Refuses several rows of one key, or keeps the last one. Returns how many were dropped.
    async fn deduplicate(&self, client: &mut Client, task: &WriteTask<'_>) -> Result<u64> {
        let key = self.key().map(|(key, _)| key).collect::<Vec<_>>().join(", ");
        if task.config.conflict.dedupe == Dedupe::Last {
            let sql = format!("DELETE FROM {TABLE} WHERE row NOT IN (SELECT max(row) FROM {TABLE} GROUP BY {key})");
            return client.run(&sql, DOING).await;
        }
        let sql = format!(
            "SELECT min(row), max(row), count(*) FROM {TABLE} GROUP BY {key} HAVING count(*) > 1 LIMIT {MAX_DUPLICATES}"
        );
        let names: Vec<String> = self.plan.key.iter().map(|key| key.name.clone()).collect();
        refuse_duplicates(task.ctx, &names, &client.rows(&sql, DOING).await?).await?;
        Ok(0)
    }

    /// Whether rows that exist are replaced; a row that is all key has nothing to replace.
    fn updates(&self, task: &WriteTask<'_>) -> bool {
        task.config.conflict.on_conflict == OnConflict::Update && self.plan.columns.iter().any(|column| !column.is_key)
    }

    /// How many rows there are in a range, how many of them have their key in the table, and how many values are altered
    /// of those that are written.
    async fn counts(
        &self,
        client: &mut Client,
        task: &WriteTask<'_>,
        of_range: &str,
        updates: bool,
    ) -> Result<[u64; 3]> {
        // The left side decides by which collation values are equal: that of the key.
        let equal: Vec<String> = self.key().map(|(staged, name)| format!("i.{staged} = t.{name}")).collect();
        let (table, equal) = (quote(&task.config.table), equal.join(" AND "));
        let exists = format!("EXISTS (SELECT 1 FROM main.{table} t WHERE {equal})");
        let written = if updates { "1".to_owned() } else { format!("NOT {exists}") };
        let count = |expression: &str| format!("SELECT {expression} FROM {TABLE} i WHERE {of_range}");
        Ok([
            client.number(&count("count(*)"), DOING).await?,
            client.number(&count(&format!("count(*) FILTER (WHERE {exists})")), DOING).await?,
            client.number(&count(&format!("ifnull(sum(altered) FILTER (WHERE {written}), 0)")), DOING).await?,
        ])
    }

    fn statement(&self, task: &WriteTask<'_>, of_range: &str, updates: bool) -> String {
        let columns = &self.plan.columns;
        let key: Vec<String> = self.key().map(|(_, name)| name).collect();
        let set = |column: &WriteColumn| format!("{0} = excluded.{0}", quote(&column.target));
        let set: Vec<String> = columns.iter().filter(|column| !column.is_key).map(set).collect();
        let action = if updates { format!("UPDATE SET {}", set.join(", ")) } else { "NOTHING".to_owned() };
        let table = format!("main.{}", quote(&task.config.table));
        format!(
            "{} SELECT {} FROM {TABLE} WHERE {of_range} ORDER BY row ON CONFLICT ({}) DO {action}",
            insert_into(&table, columns),
            self.columns(),
            key.join(", ")
        )
    }
}

//! The temporary staging table. It has the target's columns (text if the server
//! has to parse text) and a number for each row, no index and no WAL, and is dropped with the transaction.

use std::ops::Range;
use std::sync::Arc;

use osiris_core::{ExecutionContext, Result};
use osiris_sql::write::{MAX_DUPLICATES, refuse_duplicates};

use super::target::{Target, cell};
use super::transaction::Transaction;
use crate::client::quote;
use crate::types::encode::Field;

/// The SQL name of the table.
pub(super) const STAGING_TABLE: &str = "pg_temp.osiris_stage";
/// The column that holds the number of a row, from 1.
pub(super) const NUMBER: &str = "osiris_row";
const CONTEXT: &str = "creating the staging table";
const LOOKING: &str = "checking for duplicate keys";

/// A staging table.
pub(super) struct StagingTable {
    pub(super) fields: Arc<[Field]>,
    /// The key columns by the names of the table, if any.
    pub(super) key: Vec<String>,
    indexed: bool,
}

impl StagingTable {
    /// Creates it.
    ///
    /// # Errors
    /// When the role may not create temporary tables.
    pub(super) async fn create(
        tx: &mut Transaction,
        target: &Target,
        fields: Arc<[Field]>,
        key: Vec<String>,
    ) -> Result<Self> {
        let mut lines = vec![format!("{} bigint", quote(NUMBER))];
        for field in fields.iter() {
            let (kind, collation) = if field.conversion.is_literal() {
                ("text", None)
            } else {
                let column = target.table.column(&field.target);
                (field.declared.as_str(), column.and_then(|column| column.details.collation.as_deref()))
            };
            let collation = collation.map(|name| format!(" COLLATE {name}")).unwrap_or_default();
            lines.push(format!("{} {kind}{collation}", quote(&field.target)));
        }
        let sql = format!("CREATE TEMPORARY TABLE osiris_stage ({}) ON COMMIT DROP", lines.join(", "));
        tx.run(&sql, CONTEXT).await?;
        Ok(Self { fields, key, indexed: false })
    }

    /// A column of it, cast to the type of the table's column.
    pub(super) fn value(field: &Field) -> String {
        let name = quote(&field.target);
        if field.conversion.is_literal() { format!("s.{name}::{}", field.declared) } else { format!("s.{name}") }
    }

    /// The join condition of the key with `left`: `left.k = s.k AND ...`.
    pub(super) fn joined(&self, left: &str) -> String {
        let of = |name: &String| {
            let field = self.fields.iter().find(|field| field.target == *name);
            let value = field.map_or_else(|| format!("s.{}", quote(name)), Self::value);
            format!("{left}.{} = {value}", quote(name))
        };
        self.key.iter().map(of).collect::<Vec<_>>().join(" AND ")
    }

    fn key_values(&self) -> String {
        let keys = self.key.iter().filter_map(|name| self.fields.iter().find(|field| field.target == *name));
        keys.map(Self::value).collect::<Vec<_>>().join(", ")
    }

    /// Keeps the last row of each key, by row number; returns the number of deleted rows.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn keep_last(&self, tx: &mut Transaction) -> Result<u64> {
        let number = quote(NUMBER);
        // A set of numbers to delete, not a condition per row: `NOT IN` compares every row with every key once the keys outgrow
        // `work_mem`.
        let sql = format!(
            "DELETE FROM {STAGING_TABLE} WHERE {number} IN (SELECT d.number FROM \
             (SELECT s.{number}, row_number() OVER (PARTITION BY {} ORDER BY s.{number} DESC) FROM {STAGING_TABLE} s) \
             AS d (number, place) WHERE d.place > 1)",
            self.key_values()
        );
        tx.run(&sql, LOOKING).await
    }

    /// Checks for duplicate keys.
    ///
    /// # Errors
    /// When there are duplicates, which are recorded as rejects.
    pub(super) async fn refuse_duplicates(&self, tx: &mut Transaction, ctx: &ExecutionContext) -> Result<()> {
        let sql = format!(
            "SELECT min(s.{0}), max(s.{0}), count(*) FROM {STAGING_TABLE} s GROUP BY {1} HAVING count(*) > 1 ORDER BY 1 LIMIT {MAX_DUPLICATES}",
            quote(NUMBER),
            self.key_values()
        );
        refuse_duplicates(ctx, &self.key, &tx.rows(&sql, LOOKING).await?).await
    }

    /// Creates an index for ranges of rows.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn index(&mut self, tx: &mut Transaction) -> Result<()> {
        if !self.indexed {
            let sql = format!("CREATE INDEX ON {STAGING_TABLE} ({}); ANALYZE {STAGING_TABLE}", quote(NUMBER));
            tx.run(&sql, CONTEXT).await?;
            self.indexed = true;
        }
        Ok(())
    }

    /// The rows with these numbers, as a condition.
    pub(super) fn range(rows: &Range<u64>) -> String {
        format!("s.{} BETWEEN {} AND {}", quote(NUMBER), rows.start, rows.end - 1)
    }

    /// The number of rows under a condition.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn count(&self, tx: &mut Transaction, condition: &str) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {STAGING_TABLE} s WHERE {condition}");
        let rows = tx.rows(&sql, CONTEXT).await?;
        Ok(rows.first().and_then(|row| cell(row, 0).parse().ok()).unwrap_or(0))
    }

    /// Returns a row as JSON, by the names of the input, and deletes it.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn take(&self, tx: &mut Transaction, number: u64) -> Result<Option<String>> {
        let pairs: Vec<String> = self
            .fields
            .iter()
            .map(|field| format!("{}, {}", crate::client::literal(&field.source.name), quote(&field.target)))
            .collect();
        // A function has at most 100 arguments.
        let parts: Vec<String> =
            pairs.chunks(50).map(|part| format!("jsonb_build_object({})", part.join(", "))).collect();
        let sql = format!(
            "DELETE FROM {STAGING_TABLE} WHERE {} = {number} RETURNING ({})::text",
            quote(NUMBER),
            parts.join(" || ")
        );
        Ok(tx.rows(&sql, CONTEXT).await?.pop().and_then(|row| row.into_iter().next().flatten()))
    }
}

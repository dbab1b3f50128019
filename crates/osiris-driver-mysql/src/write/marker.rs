//! A row in the commit table, written in the transaction of a write: after a lost connection it says whether the
//! transaction was committed.

use osiris_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::session::Session;
use super::target::{TableName, cell, text};

const PREPARING: &str = "preparing the commit table";
const MARKING: &str = "recording the commit";
/// Retention of rows, in days.
const KEPT: u32 = 30;

/// The row of one write.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Marker {
    table: TableName,
    id: String,
}

impl Marker {
    /// Creates the table if missing, and deletes old rows. Not within a transaction.
    ///
    /// # Errors
    /// When the server returns an error, or the table has no transactions.
    pub(super) async fn prepare(session: &mut Session, table: TableName) -> Result<Self> {
        let name = table.sql();
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {name} (id CHAR(36) CHARACTER SET ascii NOT NULL PRIMARY KEY, \
             written_at DATETIME(6) NOT NULL) ENGINE=InnoDB"
        );
        session.run(&create, PREPARING).await?;
        let engine = session
            .rows(&format!(
                "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
                text(&table.schema),
                text(&table.table)
            ))
            .await?;
        if !engine.first().is_some_and(|row| cell(row, 0).eq_ignore_ascii_case("InnoDB")) {
            return Err(Error::validation(format!("`commit_table`: table `{table}` does not use the engine InnoDB"))
                .with_hint("name a table that does not exist: it is created"));
        }
        let old = format!("DELETE FROM {name} WHERE written_at < UTC_TIMESTAMP() - INTERVAL {KEPT} DAY");
        if let Err(error) = session.run(&old, PREPARING).await {
            tracing::debug!(%error, "failed to delete old rows of the commit table");
        }
        let id = session.rows("SELECT UUID()").await?;
        Ok(Self { table, id: id.first().map(|row| cell(row, 0)).unwrap_or_default().to_owned() })
    }

    /// Inserts the row within the transaction of the write.
    ///
    /// # Errors
    /// When the server returns an error.
    pub(super) async fn write(&self, session: &mut Session) -> Result<()> {
        let sql =
            format!("INSERT INTO {} (id, written_at) VALUES ({}, UTC_TIMESTAMP(6))", self.table.sql(), text(&self.id));
        session.run(&sql, MARKING).await.map(drop)
    }

    /// Whether the transaction was committed.
    ///
    /// # Errors
    /// When the query fails.
    pub(super) async fn is_there(&self, session: &mut Session) -> Result<bool> {
        let sql = format!("SELECT COUNT(*) FROM {} WHERE id = {}", self.table.sql(), text(&self.id));
        Ok(session.rows(&sql).await?.first().is_some_and(|row| cell(row, 0) != "0"))
    }
}

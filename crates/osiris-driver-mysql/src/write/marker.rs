//! A row in a table of ours, written in the transaction of a write, where the user allows it: after a lost answer it says whether the
//! transaction was committed.

use osiris_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::session::Session;
use super::target::{TableName, cell, text};

const PREPARING: &str = "preparing the table of commits";
const MARKING: &str = "marking the commit";
/// How long a row is kept, in days.
const KEPT: u32 = 30;

/// One write's row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Marker {
    table: TableName,
    id: String,
}

impl Marker {
    /// Makes the table if it is missing, and removes old rows. Not within a transaction.
    ///
    /// # Errors
    /// When the server refuses, or the table has no transactions.
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
            return Err(Error::validation(format!(
                "the table `{table}` of `commit_table` is not of the engine InnoDB"
            ))
            .with_hint("name a table that does not exist: it is created"));
        }
        let old = format!("DELETE FROM {name} WHERE written_at < UTC_TIMESTAMP() - INTERVAL {KEPT} DAY");
        if let Err(error) = session.run(&old, PREPARING).await {
            tracing::debug!(%error, "old rows stay in the table of commits");
        }
        let id = session.rows("SELECT UUID()").await?;
        Ok(Self { table, id: id.first().map(|row| cell(row, 0)).unwrap_or_default().to_owned() })
    }

    /// Writes the row, within the transaction that it is about.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn write(&self, session: &mut Session) -> Result<()> {
        let sql =
            format!("INSERT INTO {} (id, written_at) VALUES ({}, UTC_TIMESTAMP(6))", self.table.sql(), text(&self.id));
        session.run(&sql, MARKING).await.map(drop)
    }

    /// Whether the transaction was committed.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub(super) async fn is_there(&self, session: &mut Session) -> Result<bool> {
        let sql = format!("SELECT COUNT(*) FROM {} WHERE id = {}", self.table.sql(), text(&self.id));
        Ok(session.rows(&sql).await?.first().is_some_and(|row| cell(row, 0) != "0"))
    }
}

//! Builds a new table and swaps it with the old one by one atomic `RENAME TABLE`. What an
//! interrupted write left behind is removed by the next one.

use osiris_core::{Error, Result};

use super::answer::StatementError;
use super::ending::Cleanup;
use super::outcome::{self, unknown_outcome};
use super::session::Session;
use super::target::{TableName, cell, text};

const CONTEXT: &str = "replacing the table";
const CLEARING: &str = "removing tables left by an earlier write";

/// The shadow tables of a target while it is replaced.
#[derive(Debug, Clone)]
pub(super) struct ShadowTable {
    target: TableName,
    pub(super) new: TableName,
    old: TableName,
}

impl ShadowTable {
    pub(super) fn of(target: &TableName) -> Self {
        let mark = target.mark();
        Self {
            new: target.sibling(format!("__osiris_new_{mark}")),
            old: target.sibling(format!("__osiris_old_{mark}")),
            target: target.clone(),
        }
    }

    /// Removes what an earlier write left, and registers the cleanup of this one. The caller holds the table's lock.
    ///
    /// # Errors
    /// As for [`clear`](Self::clear).
    pub(super) async fn claim(&self, session: &mut Session) -> Result<()> {
        self.clear(session).await?;
        // From here on a dropped write leaves a table, unless it is removed.
        let sql = format!("DROP TABLE IF EXISTS {}", self.new.sql());
        session.set_cleanup(Some(Cleanup { lock: text(&self.target.lock()), sql }));
        Ok(())
    }

    /// Removes what an earlier write left. The caller holds the table's lock.
    ///
    /// # Errors
    /// When the server returns an error, or when only the old table is left.
    pub(super) async fn clear(&self, session: &mut Session) -> Result<()> {
        let old_is_there = exists(session, &self.old).await?;
        if old_is_there && !exists(session, &self.target).await? {
            // Only a server without atomic DDL that crashed during the swap leaves both of them and no target.
            if !exists(session, &self.new).await? {
                return Err(Error::validation(format!(
                    "there is no table `{}`, but `{}` has its rows from before an earlier overwrite",
                    self.target, self.old
                ))
                .with_hint(
                    "DROP that table if its rows are not needed, or RENAME it to restore them; then run again",
                ));
            }
            session.run(&format!("RENAME TABLE {} TO {}", self.old.sql(), self.target.sql()), CONTEXT).await?;
        } else if old_is_there {
            session.run(&format!("DROP TABLE {}", self.old.sql()), CLEARING).await?;
        }
        if exists(session, &self.new).await? {
            session.run(&format!("DROP TABLE IF EXISTS {}", self.new.sql()), CLEARING).await?;
        }
        Ok(())
    }

    /// Removes the new table of a failed write. If that fails, the next write removes it.
    pub(super) async fn discard_new(&self, session: &mut Session) {
        let dropped = async {
            session.run("ROLLBACK", CONTEXT).await?;
            session.run(&format!("DROP TABLE IF EXISTS {}", self.new.sql()), "removing the new table").await
        };
        if let Err(error) = dropped.await {
            tracing::debug!(table = %self.new, %error, "failed to drop the new table");
        }
    }

    /// Swaps in the new table. If the connection is lost, the outcome is queried over another
    /// one.
    ///
    /// # Errors
    /// When the old table is still in place; or, as an ambiguous error that is not retried, when that is unknown.
    pub(super) async fn swap(&self, session: &mut Session, replaces: bool) -> Result<(), SwapFailure> {
        let (target, new, old) = (self.target.sql(), self.new.sql(), self.old.sql());
        let sql = if replaces {
            format!("RENAME TABLE {target} TO {old}, {new} TO {target}")
        } else {
            format!("RENAME TABLE {new} TO {target}")
        };
        match session.attempt(&sql, CONTEXT).await {
            Ok(_) => Ok(()),
            Err(failure @ StatementError::Server { .. }) => Err(SwapFailure::NotDone(failure.into_error(CONTEXT))),
            Err(StatementError::Lost(error)) => match self.was_swapped(session).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(SwapFailure::NotDone(error)),
                Err(second) => {
                    tracing::debug!(error = %second, "failed to look up the session");
                    Err(SwapFailure::Unknown(unknown_outcome(&self.target, error, false)))
                }
            },
        }
    }

    async fn was_swapped(&self, session: &Session) -> Result<bool> {
        let mut other = outcome::after_its_end(session).await?;
        let swapped = !exists(&mut other, &self.new).await?;
        other.close().await;
        Ok(swapped)
    }

    /// Continues AUTO_INCREMENT of the old table.
    ///
    /// # Errors
    /// When the server returns an error.
    pub(super) async fn carry_numbers_over(&self, session: &mut Session) -> Result<()> {
        let rows = session.rows(&format!("SHOW CREATE TABLE {}", self.target.sql())).await?;
        let Some(next) = rows.first().and_then(|row| next_number(cell(row, 1))) else { return Ok(()) };
        let sql = format!("ALTER TABLE {} AUTO_INCREMENT = {next}", self.new.sql());
        session.run(&sql, "setting AUTO_INCREMENT of the new table").await.map(drop)
    }

    /// Counts and removes the old table. The new one is in place, so a failure here is not an error of the write.
    pub(super) async fn discard_old(&self, session: &mut Session) -> u64 {
        let old = self.old.sql();
        let counted = async {
            let rows = session.rows(&format!("SELECT COUNT(*) FROM {old}")).await?;
            session.run(&format!("DROP TABLE {old}"), "removing the old table").await?;
            Ok::<_, Error>(rows.first().and_then(|row| cell(row, 0).parse().ok()).unwrap_or(0))
        };
        counted.await.unwrap_or_else(|error| {
            tracing::warn!(table = %self.old, %error, "failed to drop the old table; the next write drops it");
            0
        })
    }
}

/// Why a swap failed.
pub(super) enum SwapFailure {
    /// The old table is still in place.
    NotDone(Error),
    /// The outcome is unknown.
    Unknown(Error),
}

pub(super) async fn exists(session: &mut Session, name: &TableName) -> Result<bool> {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        text(&name.schema),
        text(&name.table)
    );
    Ok(session.rows(&sql).await?.first().is_some_and(|row| cell(row, 0) != "0"))
}

/// AUTO_INCREMENT of a table from `SHOW CREATE TABLE`, which precedes user text in the options.
fn next_number(statement: &str) -> Option<u64> {
    let options = &statement[statement.rfind("\n) ")?..];
    let after = options.split('\'').next()?.split_once(" AUTO_INCREMENT=")?.1;
    after.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_beside_a_target_have_names_of_its_own() {
        let name = |table: &str| TableName { schema: "db".to_owned(), table: table.to_owned() };
        let shadow = ShadowTable::of(&name("t"));
        assert_eq!(shadow.new.schema, "db");
        assert_ne!(shadow.new, ShadowTable::of(&name("u")).new);
        assert!(ShadowTable::of(&name(&"x".repeat(64))).new.table.len() <= 64);
    }

    #[test]
    fn s41_the_next_number_is_read_from_the_options_alone() {
        let statement =
            |options: &str| format!("CREATE TABLE `t` (\n  `a` int COMMENT 'x AUTO_INCREMENT=5'\n) {options}");
        assert_eq!(
            next_number(&statement("ENGINE=InnoDB AUTO_INCREMENT=18446744073709551615 DEFAULT CHARSET=utf8mb4")),
            Some(u64::MAX)
        );
        assert_eq!(next_number(&statement("ENGINE=InnoDB AUTO_INCREMENT=7 COMMENT='AUTO_INCREMENT=5'")), Some(7));
        assert_eq!(next_number(&statement("ENGINE=InnoDB COMMENT='x AUTO_INCREMENT=5'")), None);
    }
}

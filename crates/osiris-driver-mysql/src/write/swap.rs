//! A new table built beside the old one and put in its place by one `RENAME TABLE`, which readers see as one moment. What an
//! interrupted write left behind is cleared away by the next one.

use osiris_core::{Error, Result};

use super::answer::Failure;
use super::ending::Cleanup;
use super::outcome::{self, unknown_outcome};
use super::session::Session;
use super::target::{TableName, cell, text};

const DOING: &str = "putting the new table in the place of the old one";
const CLEARING: &str = "removing what an earlier write left";

/// The tables that stand beside a target while it is replaced.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    target: TableName,
    pub(super) new: TableName,
    old: TableName,
}

impl Beside {
    pub(super) fn of(target: &TableName) -> Self {
        let mark = target.mark();
        Self {
            new: target.sibling(format!("__osiris_new_{mark}")),
            old: target.sibling(format!("__osiris_old_{mark}")),
            target: target.clone(),
        }
    }

    /// Clears away what an earlier write left, and has what this one leaves cleared away. The caller has the table's lock.
    ///
    /// # Errors
    /// As for [`clear`](Self::clear).
    pub(super) async fn claim(&self, session: &mut Session) -> Result<()> {
        self.clear(session).await?;
        // From here on a write that is dropped leaves a table, unless somebody removes it.
        let sql = format!("DROP TABLE IF EXISTS {}", self.new.sql());
        session.set_cleanup(Some(Cleanup { lock: text(&self.target.lock()), sql }));
        Ok(())
    }

    /// Clears away what an earlier write left. The caller has the table's lock.
    ///
    /// # Errors
    /// When the server refuses, or when the table is gone and only its old rows are there.
    pub(super) async fn clear(&self, session: &mut Session) -> Result<()> {
        let old_is_there = exists(session, &self.old).await?;
        if old_is_there && !exists(session, &self.target).await? {
            // Only a server without atomic DDL that died in the middle of the exchange leaves both of them and no target.
            if !exists(session, &self.new).await? {
                return Err(Error::validation(format!(
                    "there is no table `{}`, but `{}` has the rows that it had before an earlier overwrite",
                    self.target, self.old
                ))
                .with_hint(
                    "DROP that table if the rows are not wanted, or RENAME it to bring them back; then run again",
                ));
            }
            session.run(&format!("RENAME TABLE {} TO {}", self.old.sql(), self.target.sql()), DOING).await?;
        } else if old_is_there {
            session.run(&format!("DROP TABLE {}", self.old.sql()), CLEARING).await?;
        }
        if exists(session, &self.new).await? {
            session.run(&format!("DROP TABLE IF EXISTS {}", self.new.sql()), CLEARING).await?;
        }
        Ok(())
    }

    /// Removes the new table of a write that failed. What cannot be removed now is removed by the next write.
    pub(super) async fn discard_new(&self, session: &mut Session) {
        let dropped = async {
            session.run("ROLLBACK", DOING).await?;
            session.run(&format!("DROP TABLE IF EXISTS {}", self.new.sql()), "removing the new table").await
        };
        if let Err(error) = dropped.await {
            tracing::debug!(table = %self.new, %error, "the new table was left behind");
        }
    }

    /// Puts the new table in place. When the connection breaks in that moment, the server is asked over another one what
    /// became of it.
    ///
    /// # Errors
    /// When the old table is still in place; or, never to be tried again blindly, when that cannot be found out.
    pub(super) async fn swap(&self, session: &mut Session, replaces: bool) -> Result<(), SwapFailure> {
        let (target, new, old) = (self.target.sql(), self.new.sql(), self.old.sql());
        let sql = if replaces {
            format!("RENAME TABLE {target} TO {old}, {new} TO {target}")
        } else {
            format!("RENAME TABLE {new} TO {target}")
        };
        match session.attempt(&sql, DOING).await {
            Ok(_) => Ok(()),
            Err(failure @ Failure::Server { .. }) => Err(SwapFailure::NotDone(failure.into_error(DOING))),
            Err(Failure::Lost(error)) => match self.was_swapped(session).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(SwapFailure::NotDone(error)),
                Err(second) => {
                    tracing::debug!(error = %second, "the session could not be looked for");
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

    /// Lets the numbers that the server gives to rows go on where the old table's stand.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn carry_numbers_over(&self, session: &mut Session) -> Result<()> {
        let rows = session.rows(&format!("SHOW CREATE TABLE {}", self.target.sql())).await?;
        let Some(next) = rows.first().and_then(|row| next_number(cell(row, 1))) else { return Ok(()) };
        let sql = format!("ALTER TABLE {} AUTO_INCREMENT = {next}", self.new.sql());
        session.run(&sql, "keeping the next number of the table").await.map(drop)
    }

    /// Counts and removes the old table. The new one is in place: nothing that fails here is an error of the write.
    pub(super) async fn discard_old(&self, session: &mut Session) -> u64 {
        let old = self.old.sql();
        let counted = async {
            let rows = session.rows(&format!("SELECT COUNT(*) FROM {old}")).await?;
            session.run(&format!("DROP TABLE {old}"), "removing the old table").await?;
            Ok::<_, Error>(rows.first().and_then(|row| cell(row, 0).parse().ok()).unwrap_or(0))
        };
        counted.await.unwrap_or_else(|error| {
            tracing::warn!(table = %self.old, %error, "the old table was left behind; the next write removes it");
            0
        })
    }
}

/// Why an exchange did not end well.
pub(super) enum SwapFailure {
    /// The old table is in place, and stays there.
    NotDone(Error),
    /// Nobody knows.
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

/// The next number of a table as `SHOW CREATE TABLE` writes it, before any text of a user's among its options.
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
        let beside = Beside::of(&name("t"));
        assert_eq!(beside.new.schema, "db");
        assert_ne!(beside.new, Beside::of(&name("u")).new);
        assert!(Beside::of(&name(&"x".repeat(64))).new.table.len() <= 64);
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

//! A new table built beside the old one and put in its place by one `RENAME TABLE`, which readers see as one moment. What an
//! interrupted write left behind is cleared away by the next one. One write at a time: a named lock of the server sees to that.

use std::time::{Duration, Instant};

use osiris_core::{Error, Result};

use super::answer::Failure;
use super::session::Session;
use super::target::{TableName, cell, text};

const DOING: &str = "putting the new table in the place of the old one";
/// How long another write into the same table is waited for, in seconds.
const LOCK_WAIT: u32 = 30;
/// How long a connection that is told to end may take.
const END_WAIT: Duration = Duration::from_secs(10);

/// The tables that stand beside a target while it is replaced.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    target: TableName,
    pub(super) new: TableName,
    old: TableName,
    lock: String,
}

impl Beside {
    pub(super) fn of(target: &TableName) -> Self {
        let mark = fingerprint(&target.to_string());
        Self {
            new: target.sibling(format!("__osiris_new_{mark:016x}")),
            old: target.sibling(format!("__osiris_old_{mark:016x}")),
            lock: format!("osiris:{mark:016x}"),
            target: target.clone(),
        }
    }

    /// Makes sure that nobody else replaces the same table, and clears away what an earlier attempt left.
    ///
    /// # Errors
    /// When somebody else does, or the server refuses.
    pub(super) async fn claim(&self, session: &mut Session) -> Result<()> {
        let locked = session.rows(&format!("SELECT GET_LOCK({}, {LOCK_WAIT})", text(&self.lock))).await;
        match locked.as_ref().map(|rows| rows.first().map(|row| cell(row, 0).to_owned())) {
            Ok(Some(got)) if got == "0" => {
                return Err(Error::timeout(format!("another write is replacing the table `{}`", self.target))
                    .with_hint("let it end, then run again"));
            }
            Ok(_) => {}
            // A cluster may have no named locks: then nothing keeps two writes apart but their schedule.
            Err(error) if session.is_alive() => tracing::debug!(%error, "no named lock"),
            Err(_) => return locked.map(drop),
        }
        let old_is_there = exists(session, &self.old).await?;
        if old_is_there && !exists(session, &self.target).await? {
            // A server without atomic DDL died in the middle of the exchange.
            session.run(&format!("RENAME TABLE {} TO {}", self.old.sql(), self.target.sql()), DOING).await?;
        } else if old_is_there {
            session.run(&format!("DROP TABLE {}", self.old.sql()), "removing what an earlier write left").await?;
        }
        session.run(&format!("DROP TABLE IF EXISTS {}", self.new.sql()), "removing what an earlier write left").await?;
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
    pub(super) async fn swap(&self, session: &mut Session, replaces: bool) -> Result<()> {
        let (target, new, old) = (self.target.sql(), self.new.sql(), self.old.sql());
        let sql = if replaces {
            format!("RENAME TABLE {target} TO {old}, {new} TO {target}")
        } else {
            format!("RENAME TABLE {new} TO {target}")
        };
        match session.attempt(&sql, DOING).await {
            Ok(_) => Ok(()),
            Err(failure @ Failure::Server { .. }) => Err(failure.into_error(DOING)),
            Err(Failure::Lost(error)) => match self.was_swapped(session).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(error),
                Err(second) => Err(unknown_outcome(&self.target, &error).with_source(second)),
            },
        }
    }

    async fn was_swapped(&self, session: &Session) -> Result<bool> {
        let mut other = session.again().await?;
        // As long as the first connection lives its statement may still be carried out.
        let _ = other.attempt(&format!("KILL {}", session.id()), DOING).await;
        let deadline = Instant::now() + END_WAIT;
        let ask = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {}", session.id());
        while other.rows(&ask).await?.first().is_some_and(|row| cell(row, 0) != "0") {
            if Instant::now() > deadline {
                return Err(Error::timeout("the broken connection does not end on the server"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let swapped = !exists(&mut other, &self.new).await?;
        other.close().await;
        Ok(swapped)
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

/// A step whose end nobody saw.
pub(super) fn unknown_outcome(table: &TableName, error: &Error) -> Error {
    Error::network(format!(
        "the connection was lost while the rows of table `{table}` were being committed: they are there or not, all of them \
         or none ({})",
        error.message()
    ))
    .with_retryable(false)
    .with_hint("look whether the new rows are in the table; run again only if they are not")
}

async fn exists(session: &mut Session, name: &TableName) -> Result<bool> {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        text(&name.schema),
        text(&name.table)
    );
    Ok(session.rows(&sql).await?.first().is_some_and(|row| cell(row, 0) != "0"))
}

/// FNV-1a: the same for the same name in every version of every program.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
        assert!(Beside::of(&name(&"x".repeat(64))).new.table.len() <= 64);
    }
}

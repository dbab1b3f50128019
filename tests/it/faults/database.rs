//! The real servers, as the tests themselves use them.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use osiris_testkit::services::{Mariadb, Mysql, MysqlOptions, Postgres, PostgresOptions};
use serde_json::Value;

use super::disk::{Disk, can_mount};

/// A server of the test's own.
pub(super) enum Database {
    Mariadb(Mariadb),
    Mysql(Mysql),
    Postgres(Postgres),
}

/// The same of each of them: their types have no trait in common.
macro_rules! each {
    ($database:expr, $server:ident => $what:expr) => {
        match $database {
            Database::Mariadb($server) => $what,
            Database::Mysql($server) => $what,
            Database::Postgres($server) => $what,
        }
    };
}

impl Database {
    /// None of somebody's: it is going to be killed.
    pub(super) async fn mariadb() -> Option<Self> {
        Mariadb::start_with(MysqlOptions::new()).await.unwrap().map(Self::Mariadb)
    }

    pub(super) async fn mysql() -> Option<Self> {
        Mysql::start_with(MysqlOptions::new()).await.unwrap().map(Self::Mysql)
    }

    pub(super) async fn postgres() -> Option<Self> {
        Postgres::start_with(PostgresOptions::new()).await.unwrap().map(Self::Postgres)
    }

    /// Puts its tables on a disk of their own, while there are none.
    pub(super) async fn on_a_disk(&self) -> Option<Disk> {
        if !can_mount() {
            return None;
        }
        let directory = each!(self, server => server.directory()).unwrap();
        if !matches!(self, Self::Postgres(_)) {
            // A table is a file in the directory of its database, wherever that is.
            let tables = directory.join("data/test");
            let options = std::fs::read(tables.join("db.opt"));
            let disk = Disk::mount(tables);
            if let Ok(options) = options {
                std::fs::write(disk.place().join("db.opt"), options).unwrap();
            }
            return Some(disk);
        }
        let disk = Disk::mount(directory.join("small"));
        let owner = directory.join("data").metadata().unwrap();
        std::os::unix::fs::chown(disk.place(), Some(owner.uid()), Some(owner.gid())).unwrap();
        self.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.place().display())).await;
        self.execute("ALTER DATABASE postgres SET default_tablespace = small").await;
        Some(disk)
    }

    pub(super) fn address(&self) -> SocketAddr {
        each!(self, server => server.address()).unwrap()
    }

    /// The fields of a connection, with others.
    pub(super) fn connection_with(&self, fields: Value) -> Value {
        each!(self, server => server.connection_with(fields))
    }

    /// The fields of a connection of Supabase's, with others.
    pub(super) fn supabase_connection_with(&self, fields: Value) -> Value {
        self.as_postgres().supabase_connection_with(fields)
    }

    pub(super) fn as_postgres(&self) -> &Postgres {
        let Self::Postgres(server) = self else { panic!("this is no PostgreSQL") };
        server
    }

    pub(super) async fn execute(&self, sql: &str) {
        each!(self, server => server.execute(sql).await).unwrap();
    }

    pub(super) async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        each!(self, server => server.rows(sql).await).unwrap()
    }

    /// Whether it answers.
    pub(super) async fn is_alive(&self) -> bool {
        each!(self, server => server.rows("SELECT 1").await).is_ok()
    }

    /// Tables and sessions that nobody wants, as queries.
    pub(super) fn leftovers(&self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres(_) => (
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE '%osiris%'",
                "SELECT pid, state, query FROM pg_stat_activity WHERE application_name LIKE 'osiris%'",
            ),
            Self::Mariadb(_) | Self::Mysql(_) => (
                "SELECT TABLE_NAME FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE '%osiris%'",
                "SELECT ID, COMMAND, STATE FROM information_schema.PROCESSLIST \
                 WHERE DB = DATABASE() AND ID <> CONNECTION_ID()",
            ),
        }
    }

    /// It dies, and is back after a while.
    pub(super) async fn restart(&mut self, away: Duration) {
        each!(self, server => {
            server.kill().unwrap();
            tokio::time::sleep(away).await;
            server.restart().await.unwrap();
        });
    }

    /// What it has said, for a message.
    pub(super) fn log(&self) -> String {
        each!(self, server => server.log())
    }
}

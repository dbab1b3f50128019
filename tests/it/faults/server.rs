//! A real server with what is before it, as a target.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use osiris_stand_ins::supabase::{Gateway, Postgrest};
use serde_json::{Value, json};

use super::database::Database;
use super::disk::Disk;
use super::fault::Server;
use super::target::{create, insert, new_rows};

/// How it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Mariadb,
    Mysql,
    Postgres,
    /// PostgreSQL by the direct channel of Supabase.
    Supabase,
    Rest,
}

pub(super) struct SqlServer {
    family: Family,
    api: Option<(Postgrest, Gateway)>,
    /// Of its tables. Dropped before the server, which then removes the directory that it lies in.
    disk: Option<Disk>,
    database: Database,
}

impl SqlServer {
    pub(super) async fn start(family: Family) -> Option<Self> {
        let database = match family {
            Family::Mariadb => Database::mariadb().await?,
            Family::Mysql => Database::mysql().await?,
            Family::Postgres | Family::Supabase | Family::Rest => Database::postgres().await?,
        };
        let disk = database.on_a_disk().await;
        let is_rest = family == Family::Rest;
        database.execute(&create("source", is_rest)).await;
        database.execute(&insert("source", &new_rows(1))).await;
        let mut server = Self { family, api: None, database, disk };
        if is_rest {
            let postgres = server.database.as_postgres();
            let api = Postgrest::start(postgres).await.unwrap()?;
            server.database.execute(&create("items", false)).await;
            server.database.execute("GRANT ALL ON items, source TO service_role").await;
            api.reload().await.unwrap();
            let gateway = Gateway::start(&api).unwrap();
            server.api = Some((api, gateway));
        }
        Some(server)
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn has_api(&self) -> bool {
        self.api.is_some()
    }

    pub(super) fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Whether it says later what has become of a transaction.
    pub(super) fn keeps_outcomes(&self) -> bool {
        matches!(self.family, Family::Postgres | Family::Supabase)
    }

    pub(super) fn address(&self) -> SocketAddr {
        match &self.api {
            Some((_, gateway)) => gateway.url().trim_start_matches("http://").parse().unwrap(),
            None => self.database.address(),
        }
    }

    /// The family of its components.
    pub(super) fn component(&self) -> &'static str {
        match self.family {
            Family::Mariadb | Family::Mysql => "mysql",
            Family::Postgres => "postgres",
            Family::Supabase | Family::Rest => "supabase",
        }
    }

    /// The fields of a connection over a port of this machine.
    pub(super) fn connection(&self, port: u16) -> Value {
        match (&self.api, self.family) {
            (Some((_, gateway)), _) => {
                let url = format!("http://127.0.0.1:{port}");
                gateway.connection_with(json!({"url": url, "connect_timeout": 3, "timeout": 3}))
            }
            (None, Family::Mariadb | Family::Mysql) => {
                self.database.connection_with(json!({"port": port, "connect_timeout": 3, "read_timeout": 3}))
            }
            (None, Family::Postgres) => {
                self.database.connection_with(json!({"port": port, "connect_timeout": 3, "timeout": 3}))
            }
            (None, Family::Supabase | Family::Rest) => {
                let fields = json!({"pg_port": port, "connect_timeout": 3, "timeout": 3});
                self.database.supabase_connection_with(fields)
            }
        }
    }

    /// Fills the table `items` with these rows and no others.
    pub(super) async fn reset(&self, keyed: bool, rows: &[(i64, String)]) {
        let Some((api, _)) = &self.api else {
            self.database.execute("DROP TABLE IF EXISTS items; DROP TABLE IF EXISTS commits").await;
            self.database.execute(&create("items", keyed)).await;
            self.database.execute(&insert("items", rows)).await;
            return;
        };
        // The table stays, so that the API knows it.
        let key = if keyed { "; ALTER TABLE items ADD PRIMARY KEY (id)" } else { "" };
        let sql = format!("TRUNCATE items; ALTER TABLE items DROP CONSTRAINT IF EXISTS items_pkey{key}");
        self.database.execute(&sql).await;
        self.database.execute(&insert("items", rows)).await;
        api.reload().await.unwrap();
    }

    /// Tables that nobody wants, and sessions that have not ended by a deadline.
    pub(super) async fn left_behind(&self, deadline: Instant) -> Vec<String> {
        let texts = async |sql: &str| {
            let rows = self.database.rows(sql).await;
            rows.iter().map(|row| format!("{row:?}")).collect::<Vec<_>>()
        };
        let (tables, sessions) = self.database.leftovers();
        let mut left = texts(tables).await;
        loop {
            let open = texts(sessions).await;
            if open.is_empty() {
                return left;
            }
            if Instant::now() > deadline {
                left.extend(open);
                return left;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts the database again if it has died.
    pub(super) async fn revive(&mut self) {
        if !self.database.is_alive().await {
            self.database.restart(Duration::ZERO).await;
        }
    }

    /// It dies, or the API before it, and is back after a while.
    pub(super) async fn restart(&mut self, which: Server, away: Duration) {
        match (which, &mut self.api) {
            (Server::Database, _) => self.database.restart(away).await,
            (Server::Api, None) => {}
            (Server::Api, Some((api, _))) => {
                api.kill().unwrap();
                tokio::time::sleep(away).await;
                api.restart().await.unwrap();
            }
        }
    }
}

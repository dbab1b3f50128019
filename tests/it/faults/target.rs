//! Where rows go, and where they come from: files, and real servers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use osiris_e2e::Project;
use serde_json::{Value, json};

use super::disk::Disk;
use super::duckdb;
use super::fault::Server;
use super::files::{self, EXTRACTED, Files};
use super::runner::{RUN_DISK, Runner, TEMPORARY};
use super::server::{Family, SqlServer};
use super::sqlite;
use super::table::{ROWS, Table, new_label};

/// How the rows get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Append,
    /// With a `commit_table`.
    AppendRecorded,
    /// Rows whose keys are there are ignored.
    AppendByKey,
    Overwrite,
    Upsert,
    /// The other way: from the server into a file.
    Extract,
    /// The same with a cursor: an earlier run has read half of the rows.
    ExtractNew,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::AppendRecorded => "append with commit_table",
            Self::AppendByKey => "append by key",
            Self::Overwrite => "overwrite",
            Self::Upsert => "upsert",
            Self::Extract => "extract",
            Self::ExtractNew => "extract with cursor",
        }
    }

    /// The value of `mode` in the configuration of a writer.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Overwrite | Self::Extract => "overwrite",
            Self::Upsert => "upsert",
            _ => "append",
        }
    }

    pub(super) fn is_extract(self) -> bool {
        matches!(self, Self::Extract | Self::ExtractNew)
    }
}

use Mode::{Append, AppendByKey, AppendRecorded, Extract, ExtractNew, Overwrite, Upsert};

/// Every target with its modes.
pub(super) const TARGETS: [(&str, &[Mode]); 12] = [
    ("CSV", &[Append, Overwrite]),
    ("CSV parts", &[Append, Overwrite]),
    ("Parquet", &[Append, Overwrite, Extract]),
    ("Parquet parts", &[Append, Overwrite]),
    ("Parquet partitions", &[Append, Overwrite]),
    ("SQLite", &[Append, AppendRecorded, AppendByKey, Overwrite, Upsert, Extract, ExtractNew]),
    ("DuckDB", &[Append, AppendRecorded, AppendByKey, Overwrite, Upsert, Extract, ExtractNew]),
    ("MariaDB", &[Append, AppendRecorded, Overwrite, Upsert, Extract, ExtractNew]),
    ("MySQL", &[Append, AppendRecorded, Overwrite, Upsert, Extract, ExtractNew]),
    ("PostgreSQL", &[Append, AppendByKey, Overwrite, Upsert, Extract, ExtractNew]),
    ("Supabase", &[Append, AppendByKey, Overwrite, Upsert, Extract, ExtractNew]),
    ("REST", &[Append, AppendByKey, Overwrite, Upsert, Extract, ExtractNew]),
];

/// A kind of destination, with its server.
pub(super) enum Target {
    Files(Files),
    Sqlite,
    Duckdb,
    Server(Box<SqlServer>),
}

impl Target {
    /// The one of that name, when it can be had here.
    pub(super) async fn named(name: &str) -> Option<Self> {
        let family = match name {
            "CSV" => return Some(Self::Files(Files::Csv)),
            "CSV parts" => return Some(Self::Files(Files::CsvParts)),
            "Parquet" => return Some(Self::Files(Files::Parquet)),
            "Parquet parts" => return Some(Self::Files(Files::ParquetParts)),
            "Parquet partitions" => return Some(Self::Files(Files::Partitions)),
            "SQLite" => return Some(Self::Sqlite),
            "DuckDB" => return Some(Self::Duckdb),
            "MariaDB" => Family::Mariadb,
            "MySQL" => Family::Mysql,
            "PostgreSQL" => Family::Postgres,
            "Supabase" => Family::Supabase,
            "REST" => Family::Rest,
            other => panic!("there is no target {other}"),
        };
        SqlServer::start(family).await.map(|server| Self::Server(Box::new(server)))
    }

    pub(super) fn server(&self) -> Option<&SqlServer> {
        match self {
            Self::Server(server) => Some(server),
            Self::Files(_) | Self::Sqlite | Self::Duckdb => None,
        }
    }

    fn is_rest(&self) -> bool {
        self.server().is_some_and(SqlServer::has_api)
    }

    /// Whether a reader sees all rows of a write or none.
    pub(super) fn is_all_or_nothing(&self, mode: Mode) -> bool {
        mode.is_extract() || !self.is_rest()
    }

    /// Whether it can always be found out what has become of a write, or it can be repeated.
    pub(super) fn can_tell(&self, mode: Mode) -> bool {
        mode != Append
            || match self {
                Self::Files(_) => true,
                Self::Sqlite | Self::Duckdb => false,
                Self::Server(server) => server.keeps_outcomes(),
            }
    }

    /// Where its server listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.server().map(SqlServer::address)
    }

    /// The disk with the tables of its server.
    pub(super) fn disk(&self) -> Option<&Disk> {
        self.server().and_then(SqlServer::disk)
    }

    /// The connection over a port of this machine, with short limits: a dead link should be noticed.
    pub(super) fn connections(&self, port: u16) -> Value {
        let of = |family: &str, fields: Value| json!({"version": 1, "connections": {family: {"test": fields}}});
        match self {
            Self::Files(_) => json!({"version": 1, "connections": {}}),
            Self::Sqlite => of("sqlite", json!({"path": sqlite::FILE, "busy_timeout": 3})),
            Self::Duckdb => of("duckdb", json!({"path": duckdb::FILE, "busy_timeout": 3})),
            Self::Server(server) => of(server.component(), server.connection(port)),
        }
    }

    /// The steps, indented by two.
    pub(super) fn steps(&self, mode: Mode) -> String {
        let family = match self {
            Self::Files(files) => return files.steps(mode),
            Self::Sqlite => "sqlite",
            Self::Duckdb => "duckdb",
            Self::Server(server) => server.component(),
        };
        let table = format!("connection: \"@{family}.test\", table: {}", table(mode));
        if mode.is_extract() {
            let cursor = if mode == ExtractNew { ", cursor: {column: id}" } else { "" };
            let word = mode.word();
            return format!(
                "  - {{id: read, component: {family}.extractor, mode: read, config: {{{table}{cursor}}}}}\n  \
                   - {{id: write, component: filesystem.csv_writer, mode: write, needs: [read], config: {{{EXTRACTED}, mode: {word}}}}}\n"
            );
        }
        let word = mode.word();
        // Over REST an overwrite goes by key as well.
        let more = match mode {
            AppendRecorded => ", commit_table: commits",
            AppendByKey => ", key: id, on_conflict: ignore",
            Upsert => ", key: id",
            Overwrite if self.is_rest() => ", key: id",
            _ => "",
        };
        format!(
            // What SQL returns goes directly to a writer that takes it, where a file would be read by the writer itself.
            "  - {{id: file, component: filesystem.csv_extractor, mode: read, config: {{path: rows.csv}}}}\n  \
               - {{id: read, component: duckdb.processor, mode: transform, needs: [file], config: {{query: FROM file}}}}\n  \
               - {{id: write, component: {family}.writer, mode: write, needs: [read], config: {{{table}, mode: {word}{more}}}}}\n"
        )
    }

    /// Makes what stays in a project, once.
    pub(super) fn prepare(&self, project: &Project, mode: Mode) {
        let rows = new_rows(1).into_iter();
        if let Self::Files(files) = self {
            project.write("rows.csv", files::source(rows));
            files.prepare(project, mode);
        } else {
            let lines = rows.map(|(id, label)| format!("{id},\"{label}\"\n"));
            project.write("rows.csv", format!("id,label\n{}", lines.collect::<String>()));
        }
    }

    /// Brings back what is there before a run. With a cursor that is what an earlier run has read.
    pub(super) async fn reset(&self, runner: &Runner<'_>, mode: Mode) {
        let project = runner.project;
        files::reset(project);
        // The key is what rows are ignored or replaced by; without one doubled rows can be seen. Over REST it is also how old rows
        // are found and pages are read.
        let keyed = matches!(mode, Upsert | AppendByKey) || (self.is_rest() && mode != Append);
        match self {
            Self::Files(_) => return,
            Self::Sqlite | Self::Duckdb => {
                let rows = if mode == Extract { new_rows(1) } else { Table::before(mode) };
                let sql = format!("{}; {}", create(table(mode), keyed), insert(table(mode), &rows));
                self.execute(project, &sql).await;
            }
            Self::Server(_) if mode == Extract => return,
            Self::Server(server) => server.reset(keyed, &Table::before(mode)).await,
        }
        if mode == ExtractNew {
            runner.run(&["run", "pipeline.yaml"]).with_code(0);
            let sql = insert(table(mode), &new_rows(ROWS / 2 + 1));
            match self {
                Self::Server(server) => server.database().execute(&sql).await,
                _ => self.execute(project, &sql).await,
            }
        }
    }

    /// Changes the database file.
    async fn execute(&self, project: &Project, sql: &str) {
        match self {
            Self::Duckdb => duckdb::execute(project, sql),
            _ => sqlite::execute(project, sql).await,
        }
    }

    /// What is there now.
    pub(super) async fn read(&self, project: &Project, mode: Mode) -> Table {
        const ALL: &str = "SELECT id, label FROM items";
        match self {
            Self::Server(server) if !mode.is_extract() => {
                Table::of(server.database().rows(ALL).await.into_iter().map(|row| {
                    let [id, label] = row.try_into().unwrap();
                    (id.unwrap().parse().unwrap(), label.unwrap_or_default())
                }))
            }
            Self::Sqlite if !mode.is_extract() => Table::of(sqlite::rows(project, ALL).await),
            Self::Duckdb if !mode.is_extract() => Table::of(duckdb::rows(project, ALL)),
            _ => files::read(project),
        }
    }

    /// What is there that nobody wants: staging tables and sessions of the server, temporary files beside the destination.
    /// Sessions get a while to end.
    pub(super) async fn left_behind(&self, project: &Project) -> Vec<String> {
        let known =
            ["pipeline.yaml", "osiris_connections.yaml", "rows.csv", ".osiris", RUN_DISK, TEMPORARY, files::OUT];
        let names = std::fs::read_dir(project.directory()).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap());
        let is_known = |name: &String| known.contains(&name.as_str()) || files::PREPARED.contains(&name.as_str());
        let mut left: Vec<String> = names.filter(|name| !is_known(name)).collect();
        left.extend(files::left_behind(project));
        match self {
            Self::Files(_) => {}
            Self::Sqlite => {
                let tables =
                    "SELECT 1, name FROM sqlite_schema WHERE name LIKE '%osiris%' AND name NOT LIKE '%commit%'";
                left.extend(sqlite::rows(project, tables).await.into_iter().map(|(_, name)| name));
            }
            Self::Duckdb => {
                let tables = "SELECT 1, table_name FROM duckdb_tables() WHERE table_name LIKE '%osiris%' AND table_name NOT LIKE '%commit%'";
                left.extend(duckdb::rows(project, tables).into_iter().map(|(_, name)| name));
            }
            Self::Server(server) => left.extend(server.left_behind(Instant::now() + Duration::from_secs(20)).await),
        }
        left
    }

    /// Starts its database again if it has died.
    pub(super) async fn revive(&mut self) {
        if let Self::Server(server) = self {
            server.revive().await;
        }
    }

    /// A server dies, and is back after a while.
    pub(super) async fn restart(&mut self, which: Server, away: Duration) {
        if let Self::Server(server) = self {
            server.restart(which, away).await;
        }
    }
}

/// The table of a mode. That of an extract without a cursor stays as it is.
fn table(mode: Mode) -> &'static str {
    if mode == Extract { "source" } else { "items" }
}

pub(super) fn create(table: &str, keyed: bool) -> String {
    let key = if keyed { ", PRIMARY KEY (id)" } else { "" };
    format!("CREATE TABLE {table} (id BIGINT NOT NULL, label VARCHAR(100){key})")
}

/// The rows that a run brings, from this one on.
pub(super) fn new_rows(first: i64) -> Vec<(i64, String)> {
    (first..=ROWS).map(|id| (id, new_label(id))).collect()
}

pub(super) fn insert(table: &str, rows: &[(i64, String)]) -> String {
    let values: Vec<String> = rows.iter().map(|(id, label)| format!("({id},'{label}')")).collect();
    format!("INSERT INTO {table} VALUES {}", values.join(","))
}

//! Where rows go: files, and real servers.

use std::fs::File;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use osiris_e2e::Project;
use osiris_stand_ins::supabase::{Gateway, Postgrest};
use osiris_testkit::services::{Mariadb, Mysql, Postgres};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::{Value, json};

use super::sqlite;
use super::table::{ROWS, Table, new_label};

/// Kills a server and starts it again; its types have no trait in common.
macro_rules! restart {
    ($server:expr, $away:expr) => {{
        $server.kill().unwrap();
        tokio::time::sleep($away).await;
        $server.restart().await.unwrap();
    }};
}

/// How the rows get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Append,
    Overwrite,
    Upsert,
    /// The other way: from the server into a file.
    Extract,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::Upsert => "upsert",
            Self::Extract => "extract",
        }
    }
}

/// A kind of destination, with its server.
pub(super) enum Target {
    Csv,
    Parquet,
    Mariadb(Mariadb),
    Mysql(Mysql),
    Postgres(Postgres),
    Rest(Box<Rest>),
    Sqlite,
}

/// PostgREST with what is before and behind it.
pub(super) struct Rest {
    server: Postgres,
    /// Ends when dropped.
    _api: Postgrest,
    gateway: Gateway,
}

/// Every target.
pub(super) const NAMES: [&str; 7] = ["CSV", "Parquet", "SQLite", "MariaDB", "MySQL", "PostgreSQL", "REST"];

impl Target {
    /// The one of that name, when it can be had here.
    pub(super) async fn named(name: &str) -> Option<Self> {
        match name {
            "CSV" => Some(Self::Csv),
            "Parquet" => Some(Self::Parquet),
            "SQLite" => Some(Self::Sqlite),
            "MariaDB" => Mariadb::start().await.unwrap().map(Self::Mariadb),
            "MySQL" => Mysql::start().await.unwrap().map(Self::Mysql),
            "PostgreSQL" => Postgres::start().await.unwrap().map(Self::Postgres),
            "REST" => {
                let server = Postgres::start().await.unwrap()?;
                let api = Postgrest::start(&server).await.unwrap()?;
                server.execute(&create("")).await.unwrap();
                server.execute("GRANT ALL ON rows TO service_role").await.unwrap();
                api.reload().await.unwrap();
                let gateway = Gateway::start(&api).unwrap();
                Some(Self::Rest(Box::new(Rest { server, _api: api, gateway })))
            }
            other => panic!("there is no target {other}"),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::Mariadb(_) => "MariaDB",
            Self::Mysql(_) => "MySQL",
            Self::Postgres(_) => "PostgreSQL",
            Self::Rest(_) => "REST",
            Self::Sqlite => "SQLite",
        }
    }

    pub(super) fn modes(&self) -> &'static [Mode] {
        match self {
            Self::Csv => &[Mode::Append, Mode::Overwrite],
            Self::Parquet => &[Mode::Overwrite],
            _ => &[Mode::Append, Mode::Overwrite, Mode::Upsert, Mode::Extract],
        }
    }

    /// Whether a reader sees all rows of a write or none.
    pub(super) fn is_all_or_nothing(&self, mode: Mode) -> bool {
        mode == Mode::Extract || !matches!(self, Self::Rest(_))
    }

    /// Where its server listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Csv | Self::Parquet | Self::Sqlite => None,
            Self::Mariadb(server) => Some(server.address().unwrap()),
            Self::Mysql(server) => Some(server.address().unwrap()),
            Self::Postgres(server) => Some(server.address().unwrap()),
            Self::Rest(rest) => Some(rest.gateway.url().trim_start_matches("http://").parse().unwrap()),
        }
    }

    /// The connection over a port of this machine, with short limits: a dead link should be noticed.
    pub(super) fn connections(&self, port: u16) -> Value {
        let of = |family: &str, fields: Value| json!({"version": 1, "connections": {family: {"test": fields}}});
        let mysql = json!({"port": port, "connect_timeout": 3, "read_timeout": 3});
        match self {
            Self::Csv | Self::Parquet => json!({"version": 1, "connections": {}}),
            Self::Sqlite => of("sqlite", json!({"path": sqlite::FILE, "busy_timeout": 3})),
            Self::Mariadb(server) => of("mysql", server.connection_with(mysql)),
            Self::Mysql(server) => of("mysql", server.connection_with(mysql)),
            Self::Postgres(server) => {
                let limits = json!({"pg_port": port, "connect_timeout": 3, "timeout": 3});
                of("supabase", server.supabase_connection_with(limits))
            }
            Self::Rest(rest) => {
                let fields = json!({"url": format!("http://127.0.0.1:{port}"), "connect_timeout": 3, "timeout": 3});
                of("supabase", rest.gateway.connection_with(fields))
            }
        }
    }

    /// The steps, indented by two; `more` goes into each.
    pub(super) fn steps(&self, mode: Mode, more: &str) -> String {
        let table = match (self, mode) {
            (Self::Csv, _) => return files("csv_writer", "out.csv", mode, more),
            (Self::Parquet, _) => return files("parquet_writer", "out.parquet", mode, more),
            (Self::Mariadb(_) | Self::Mysql(_), _) => "connection: \"@mysql.test\", table: rows",
            (Self::Sqlite, _) => "connection: \"@sqlite.test\", table: rows",
            _ => "connection: \"@supabase.test\", table: rows",
        };
        let family = match self {
            Self::Mariadb(_) | Self::Mysql(_) => "mysql",
            Self::Sqlite => "sqlite",
            _ => "supabase",
        };
        if mode == Mode::Extract {
            return format!(
                "  - {{id: read, component: {family}.extractor, mode: read{more}, config: {{{table}}}}}\n  \
                   - {{id: write, component: filesystem.csv_writer, mode: write, needs: [read], config: {{path: out.csv}}}}\n"
            );
        }
        // Over REST an overwrite goes by key as well.
        let keyed = mode == Mode::Upsert || (mode == Mode::Overwrite && matches!(self, Self::Rest(_)));
        let key = if keyed { ", key: id" } else { "" };
        let mode = mode.name();
        format!(
            "{READ}  - {{id: write, component: {family}.writer, mode: write, needs: [read]{more}, config: {{{table}, mode: {mode}{key}}}}}\n"
        )
    }

    /// Brings back what is there before a run.
    pub(super) async fn reset(&self, project: &Project, mode: Mode) {
        for file in ["out.csv", "out.parquet"] {
            let _ = std::fs::remove_file(project.path(file));
        }
        if matches!(self, Self::Csv) && mode != Mode::Extract {
            let rows = Table::before(mode).into_iter().map(|(id, label)| format!("{id},\"{label}\"\n"));
            project.write("out.csv", format!("id,label\n{}", rows.collect::<String>()));
        }
        // The key is what an upsert goes by; without one doubled rows can be seen. Over REST it is also how old rows are found and
        // pages are read.
        let needs_key = matches!(self, Self::Rest(_)) && matches!(mode, Mode::Overwrite | Mode::Extract);
        let keyed = mode == Mode::Upsert || needs_key;
        let rows = match mode {
            Mode::Extract => (1..=ROWS).map(|id| (id, new_label(id))).collect(),
            _ => Table::before(mode),
        };
        let values: Vec<String> = rows.iter().map(|(id, label)| format!("({id},'{label}')")).collect();
        let insert = format!("INSERT INTO rows VALUES {}", values.join(","));
        let key = if keyed { ", PRIMARY KEY (id)" } else { "" };
        match self {
            Self::Csv | Self::Parquet => {}
            Self::Sqlite => {
                for file in [sqlite::FILE, sqlite::JOURNAL] {
                    let _ = std::fs::remove_file(project.path(file));
                }
                sqlite::execute(project, &format!("{}; {insert}", create(key))).await;
            }
            Self::Mariadb(_) | Self::Mysql(_) => {
                for sql in ["DROP TABLE IF EXISTS `rows`".to_owned(), quoted(&create(key)), quoted(&insert)] {
                    self.execute(&sql).await;
                }
            }
            Self::Postgres(_) => {
                for sql in ["DROP TABLE IF EXISTS rows".to_owned(), create(key), insert] {
                    self.execute(&sql).await;
                }
            }
            // The table stays, so that PostgREST need not look again.
            Self::Rest(rest) => {
                let server = &rest.server;
                server.execute("TRUNCATE rows; ALTER TABLE rows DROP CONSTRAINT IF EXISTS rows_pkey").await.unwrap();
                if keyed {
                    server.execute("ALTER TABLE rows ADD PRIMARY KEY (id)").await.unwrap();
                }
                server.execute(&insert).await.unwrap();
                server.execute("NOTIFY pgrst, 'reload schema'").await.unwrap();
            }
        }
    }

    /// What is there now.
    pub(super) async fn read(&self, project: &Project, mode: Mode) -> Table {
        const ALL: &str = "SELECT id, label FROM rows ";
        let pairs = |rows: Vec<Vec<Option<String>>>| {
            Table::of(rows.into_iter().map(|row| {
                let [id, label] = row.try_into().unwrap();
                (id.unwrap().parse().unwrap(), label.unwrap_or_default())
            }))
        };
        match self {
            _ if mode == Mode::Extract => csv(project),
            Self::Csv => csv(project),
            Self::Parquet => parquet(project),
            Self::Sqlite => Table::of(sqlite::rows(project, ALL).await),
            Self::Mariadb(_) | Self::Mysql(_) => pairs(self.rows(&quoted(ALL)).await),
            Self::Postgres(_) | Self::Rest(_) => pairs(self.rows(ALL).await),
        }
    }

    /// What is there that nobody wants: staging tables and sessions of the server, temporary files beside the destination.
    /// Sessions get a while to end.
    pub(super) async fn left_behind(&self, project: &Project) -> Vec<String> {
        let known = [
            "pipeline.yaml",
            "osiris_connections.yaml",
            "rows.csv",
            "out.csv",
            "out.parquet",
            ".osiris",
            "disk",
            sqlite::FILE,
        ];
        let names = std::fs::read_dir(project.directory()).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap()).filter(|name| !known.contains(&name.as_str()));
        let mut left: Vec<String> = names.collect();
        let (tables, sessions) = match self {
            Self::Csv | Self::Parquet => return left,
            Self::Sqlite => {
                let tables =
                    "SELECT 1, name FROM sqlite_schema WHERE name LIKE '%osiris%' AND name NOT LIKE '%commit%'";
                left.extend(sqlite::rows(project, tables).await.into_iter().map(|(_, name)| name));
                return left;
            }
            Self::Mariadb(_) | Self::Mysql(_) => (
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE '%osiris%'",
                "SELECT ID, COMMAND, STATE FROM information_schema.PROCESSLIST \
                 WHERE DB = DATABASE() AND ID <> CONNECTION_ID()",
            ),
            Self::Postgres(_) | Self::Rest(_) => (
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE '%osiris%'",
                "SELECT pid, state, query FROM pg_stat_activity WHERE application_name LIKE 'osiris%'",
            ),
        };
        left.extend(self.texts(tables).await);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let open = self.texts(sessions).await;
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

    async fn texts(&self, sql: &str) -> Vec<String> {
        self.rows(sql).await.iter().map(|row| format!("{row:?}")).collect()
    }

    /// What a query of its server returns; nothing for files.
    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Csv | Self::Parquet | Self::Sqlite => Vec::new(),
            Self::Mariadb(server) => server.rows(sql).await.unwrap(),
            Self::Mysql(server) => server.rows(sql).await.unwrap(),
            Self::Postgres(server) => server.rows(sql).await.unwrap(),
            Self::Rest(rest) => rest.server.rows(sql).await.unwrap(),
        }
    }

    async fn execute(&self, sql: &str) {
        match self {
            Self::Csv | Self::Parquet | Self::Sqlite => {}
            Self::Mariadb(server) => server.execute(sql).await.unwrap(),
            Self::Mysql(server) => server.execute(sql).await.unwrap(),
            Self::Postgres(server) => server.execute(sql).await.unwrap(),
            Self::Rest(rest) => rest.server.execute(sql).await.unwrap(),
        }
    }

    /// The server dies, and is back after a while.
    pub(super) async fn restart(&mut self, away: Duration) {
        match self {
            Self::Csv | Self::Parquet | Self::Sqlite => {}
            Self::Mariadb(server) => restart!(server, away),
            Self::Mysql(server) => restart!(server, away),
            Self::Postgres(server) => restart!(server, away),
            Self::Rest(rest) => restart!(rest.server, away),
        }
    }
}

/// The name of the table is a word of MySQL's.
fn quoted(sql: &str) -> String {
    sql.replace(" rows ", " `rows` ")
}

const READ: &str = "  - {id: read, component: filesystem.csv_extractor, mode: read, config: {path: rows.csv}}\n";

fn files(component: &str, path: &str, mode: Mode, more: &str) -> String {
    let mode = if component == "csv_writer" { format!(", mode: {}", mode.name()) } else { String::new() };
    format!(
        "{READ}  - {{id: write, component: filesystem.{component}, mode: write, needs: [read]{more}, config: {{path: {path}{mode}}}}}\n"
    )
}

fn create(key: &str) -> String {
    format!("CREATE TABLE rows (id BIGINT NOT NULL, label VARCHAR(100){key})")
}

fn csv(project: &Project) -> Table {
    let Ok(text) = std::fs::read_to_string(project.path("out.csv")) else { return Table::default() };
    Table::of(text.lines().skip(1).map(|line| {
        let (id, label) = line.split_once(',').unwrap_or((line, ""));
        (id.parse().unwrap(), label.trim_matches('"').to_owned())
    }))
}

fn parquet(project: &Project) -> Table {
    let Ok(file) = File::open(project.path("out.parquet")) else { return Table::default() };
    let reader = SerializedFileReader::new(file).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
    Table::of(rows.map(|row| (row.get_long(0).unwrap(), row.get_string(1).unwrap().clone())))
}

//! Databases: into files, out of files and from one to another, against the clients that come with the servers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::measure::{Cost, compared, cost};
use super::served::Served;
use super::{Bench, Row, data};
use crate::{Outcome, shell};

const TABLE: &str = "lineitem";
/// The columns that are no part of the key.
const REST: [&str; 14] = [
    "l_partkey",
    "l_suppkey",
    "l_quantity",
    "l_extendedprice",
    "l_discount",
    "l_tax",
    "l_returnflag",
    "l_linestatus",
    "l_shipdate",
    "l_commitdate",
    "l_receiptdate",
    "l_shipinstruct",
    "l_shipmode",
    "l_comment",
];
/// A million rows.
const MILLION: &str = "0.1667";

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    MariaDb,
    MySql,
    Postgres,
}

impl Kind {
    const ALL: [Self; 3] = [Self::MariaDb, Self::MySql, Self::Postgres];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
            Self::Postgres => "PostgreSQL",
        }
    }

    fn family(self) -> &'static str {
        if self == Self::Postgres { "postgres" } else { "mysql" }
    }

    /// The server, as the program that starts it names it.
    fn server(self) -> String {
        if self == Self::Postgres { self.family().to_owned() } else { self.alias() }
    }

    /// The name of its alias in a connections file.
    fn alias(self) -> String {
        self.name().to_lowercase()
    }

    fn columns(self) -> String {
        let text = |letters: u32| if self == Self::Postgres { "TEXT".to_owned() } else { format!("CHAR({letters})") };
        let (number, comment) = ("DECIMAL(15,2)", if self == Self::Postgres { "TEXT" } else { "VARCHAR(44)" });
        let columns = [
            ("l_orderkey", "BIGINT".to_owned()),
            ("l_partkey", "BIGINT".to_owned()),
            ("l_suppkey", "BIGINT".to_owned()),
            ("l_linenumber", "INT".to_owned()),
            ("l_quantity", number.to_owned()),
            ("l_extendedprice", number.to_owned()),
            ("l_discount", number.to_owned()),
            ("l_tax", number.to_owned()),
            ("l_returnflag", text(1)),
            ("l_linestatus", text(1)),
            ("l_shipdate", "DATE".to_owned()),
            ("l_commitdate", "DATE".to_owned()),
            ("l_receiptdate", "DATE".to_owned()),
            ("l_shipinstruct", text(25)),
            ("l_shipmode", text(10)),
            ("l_comment", comment.to_owned()),
        ];
        columns.map(|(name, column)| format!("{name} {column} NOT NULL")).join(", ")
    }
}

/// A database into Parquet and CSV, by default, against the server's client that throws the rows away, and connectorx.
pub(super) fn to_files(bench: &Bench) -> Outcome<Vec<Row>> {
    let csv = bench.lineitem(&bench.scale)?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let Some(mut server) = Server::start(bench, kind)? else { continue };
        server.fill(TABLE, &csv, "")?;
        let pipeline = |format: &str| {
            let directory = server.project(bench, &format!("to-files-{}-{format}", kind.alias()))?;
            let config = format!("path: out/lineitem.{format}");
            let write = data::write("write", "source", &format!("filesystem.{format}_writer"), &config);
            data::pipeline(&directory, &[server.extract("table: lineitem"), write])
        };
        let (parquet, text) = (pipeline("parquet")?, pipeline("csv")?);
        let (mut ours, mut ours_text, mut client, mut peer) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            client.push(cost(&mut server.discard(TABLE)?)?);
            ours.push(cost(&mut bench.run(&parquet, &[]))?);
            ours_text.push(cost(&mut bench.run(&text, &[]))?);
            if has_connectorx() {
                peer.push(cost(&mut server.connectorx(TABLE, &bench.directory.join("connectorx.parquet")))?);
            }
        }
        let (work, scale) = (kind.name(), &bench.scale);
        let limit = format!("{}, rows thrown away", kind.client());
        rows.push(compared(format!("{work} -> Parquet, scale {scale}"), &ours, &limit, &client, "1.2, 250 MB"));
        rows.push(compared(format!("{work} -> CSV, scale {scale}"), &ours_text, &limit, &client, "1.2, 250 MB"));
        if !peer.is_empty() {
            let work = format!("{work} -> Parquet, scale {scale}");
            rows.push(compared(work, &ours, "connectorx and pyarrow", &peer, "1"));
        }
    }
    Ok(rows)
}

/// A table from one database into another, against the slower of reading it and loading it with the servers' clients.
pub(super) fn across(bench: &Bench) -> Outcome<Vec<Row>> {
    let csv = bench.lineitem(&bench.scale)?;
    let mut rows = Vec::new();
    for (from, to) in [(Kind::MySql, Kind::Postgres), (Kind::Postgres, Kind::MySql), (Kind::MariaDb, Kind::Postgres)] {
        let (Some(mut source), Some(mut target)) = (Server::start(bench, from)?, Server::start(bench, to)?) else {
            continue;
        };
        source.fill(TABLE, &csv, "")?;
        target.create("target", "")?;
        let work = format!("{} -> {}", from.name(), to.name());
        let directory = bench.fresh(&format!("across-{}-{}", from.alias(), to.alias()))?;
        connections(&directory, &[&source, &target])?;
        for mode in ["append", "overwrite"] {
            let component = format!("{}.writer", to.family());
            let config = format!("table: target, mode: {mode}, connection: \"@{}.{}\"", to.family(), to.alias());
            let steps = [source.extract("table: lineitem"), data::write("write", "source", &component, &config)];
            let pipeline = data::pipeline(&directory, &steps)?;
            let (mut ours, mut alone) = (Vec::new(), Vec::new());
            for _ in 0..bench.rounds {
                target.ask("TRUNCATE TABLE target")?;
                let load = target.load(&csv, "target")?;
                let read = cost(&mut source.discard(TABLE)?)?;
                alone.push(if load.wall > read.wall { load } else { read });
                if mode == "append" {
                    target.ask("TRUNCATE TABLE target")?;
                }
                ours.push(cost(&mut bench.run(&pipeline, &[]))?);
            }
            let limit = "the slower of reading and loading alone";
            rows.push(compared(format!("{work}, {mode}, scale {}", bench.scale), &ours, limit, &alone, "1.25"));
        }
    }
    Ok(rows)
}

/// Parquet into a database, against the server's client, which loads CSV.
pub(super) fn from_files(bench: &Bench) -> Outcome<Vec<Row>> {
    let csv = bench.lineitem(&bench.scale)?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let Some(mut server) = Server::start(bench, kind)? else { continue };
        server.create("target", "")?;
        let pipeline = server.pipeline(bench, "append", &csv, "table: target")?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            server.ask("TRUNCATE TABLE target")?;
            theirs.push(server.load(&csv, "target")?);
            server.ask("TRUNCATE TABLE target")?;
            ours.push(cost(&mut bench.run(&pipeline, &[]))?);
        }
        let work = format!("Parquet -> {}, append, scale {}", kind.name(), bench.scale);
        rows.push(compared(work, &ours, &format!("{} from CSV", kind.client()), &theirs, "1.3"));
        if kind != Kind::Postgres {
            rows.push(server.upsert(bench)?);
        }
    }
    Ok(rows)
}

/// Whether Python has connectorx and pyarrow.
fn has_connectorx() -> bool {
    let mut import = Command::new("python3");
    import.args(["-c", "import connectorx, pyarrow.parquet"]).stderr(Stdio::null());
    import.status().is_ok_and(|status| status.success())
}

const CONNECTIONS: &str = "osiris_connections.yaml";

/// Writes the connections file of a project.
fn connections(directory: &Path, servers: &[&Server]) -> Outcome {
    let path = directory.join(CONNECTIONS);
    let mut text = "version: 1\nconnections:\n".to_owned();
    for family in ["mysql", "postgres"] {
        let of_family: Vec<_> = servers.iter().filter(|server| server.kind.family() == family).collect();
        if !of_family.is_empty() {
            text.push_str(&format!("  {family}:\n"));
        }
        for server in of_family {
            text.push_str(&format!("    {}: {}\n", server.kind.alias(), server.connection));
        }
    }
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// A server of our own, until it is dropped.
pub(super) struct Server {
    kind: Kind,
    served: Served,
    /// The fields of a connection, in JSON, which is YAML as well.
    connection: String,
    url: String,
    /// The file with the options of MySQL's client.
    options: String,
}

impl Kind {
    fn client(self) -> &'static str {
        if self == Self::Postgres { "psql" } else { "mariadb" }
    }
}

impl Server {
    /// Starts it; `None`, with a word, where its program is not there.
    pub(super) fn start(bench: &Bench, kind: Kind) -> Outcome<Option<Self>> {
        let program = bench.reference.with_file_name("osiris-bench-serve");
        let served = match Served::start(Command::new(&program).arg(kind.server())) {
            Ok(served) => served,
            // The server has said why.
            Err(error) => {
                eprintln!("    left out: {}: {error}", kind.name());
                return Ok(None);
            }
        };
        let parts: Vec<String> = served.about.split('\t').map(str::to_owned).collect();
        let [connection, url, options] = parts.try_into().map_err(|_| "the server says too little".to_owned())?;
        Ok(Some(Self { kind, served, connection, url, options }))
    }

    /// Has an administrator execute SQL.
    fn ask(&mut self, sql: &str) -> Outcome {
        match self.served.ask(sql)?.as_str() {
            "done" => Ok(()),
            other => Err(format!("{sql}: {other}")),
        }
    }

    fn create(&mut self, table: &str, more: &str) -> Outcome {
        let columns = self.kind.columns();
        let database = if self.kind == Kind::Postgres { "" } else { "test." };
        self.ask(&format!("DROP TABLE IF EXISTS {database}{table}"))?;
        self.ask(&format!("CREATE TABLE {database}{table} ({columns}{more})"))
    }

    /// Makes a table of the rows of `csv`.
    pub(super) fn fill(&mut self, table: &str, csv: &Path, more: &str) -> Outcome {
        self.create(table, more)?;
        self.load(csv, table)?;
        if self.kind == Kind::Postgres { self.ask(&format!("VACUUM ANALYZE {table}")) } else { Ok(()) }
    }

    /// The step that reads from it.
    pub(super) fn extract(&self, config: &str) -> String {
        let (family, alias) = (self.kind.family(), self.kind.alias());
        format!(
            "  - id: source\n    component: {family}.extractor\n    mode: read\n    config: {{{config}, connection: \"@{family}.{alias}\"}}\n"
        )
    }

    /// Gives the account what `partition_by` needs.
    pub(super) fn allow_partitions(&mut self) -> Outcome {
        if self.kind == Kind::Postgres { Ok(()) } else { self.ask("GRANT LOCK TABLES ON test.* TO osiris@'%'") }
    }

    fn client(&self, sql: &str) -> Outcome<Command> {
        let name = self.kind.client();
        let found = shell::find_program(name, &[]).ok_or(format!("`{name}` is missing: install it"))?;
        let mut command = Command::new(found);
        if self.kind == Kind::Postgres {
            command.args(["--no-psqlrc", "--quiet", "--command", sql, &self.url]);
        } else {
            command.arg(format!("--defaults-file={}", self.options)).args(["--local-infile=1", "--quick", "--batch"]);
            command.args(["--skip-column-names", "--execute", sql, "test"]);
        }
        Ok(command)
    }

    /// Reads all rows and throws them away.
    fn discard(&self, table: &str) -> Outcome<Command> {
        if self.kind == Kind::Postgres {
            self.client(&format!("\\copy {table} TO '/dev/null' (FORMAT binary)"))
        } else {
            self.client(&format!("SELECT * FROM {table}"))
        }
    }

    /// Loads a CSV file.
    fn load(&self, csv: &Path, table: &str) -> Outcome<Cost> {
        cost(&mut self.client(&self.load_sql(csv, table))?)
    }

    fn load_sql(&self, csv: &Path, table: &str) -> String {
        let csv = csv.display();
        if self.kind == Kind::Postgres {
            return format!("\\copy {table} FROM '{csv}' (FORMAT csv, HEADER)");
        }
        format!(
            "LOAD DATA LOCAL INFILE '{csv}' INTO TABLE {table} FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' IGNORE 1 LINES"
        )
    }

    fn connectorx(&self, table: &str, to: &Path) -> Command {
        let script = format!(
            "import connectorx, pyarrow.parquet\n\
             table = connectorx.read_sql({:?}, 'SELECT * FROM {table}', return_type='arrow')\n\
             pyarrow.parquet.write_table(table, {:?}, compression='zstd')",
            self.url,
            to.display().to_string()
        );
        let mut command = Command::new("python3");
        command.arg("-c").arg(script);
        command
    }

    /// An upsert of a million rows into a table that has them, against the same statements typed by hand.
    fn upsert(&mut self, bench: &Bench) -> Outcome<Row> {
        let csv = bench.lineitem(MILLION)?;
        let key = ", PRIMARY KEY (l_orderkey, l_linenumber)";
        self.fill("keyed", &csv, key)?;
        let config = "table: keyed, mode: upsert, key: [l_orderkey, l_linenumber]";
        let pipeline = self.pipeline(bench, "upsert", &csv, config)?;
        let updates: Vec<String> = REST.iter().map(|name| format!("{name} = VALUES({name})")).collect();
        let by_hand = format!(
            "CREATE TEMPORARY TABLE staging LIKE keyed; {}; \
             INSERT INTO keyed SELECT * FROM staging ON DUPLICATE KEY UPDATE {}",
            self.load_sql(&csv, "staging"),
            updates.join(", ")
        );
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            theirs.push(cost(&mut self.client(&by_hand)?)?);
            ours.push(cost(&mut bench.run(&pipeline, &[]))?);
        }
        let work = format!("Parquet -> {}, upsert of a million rows", self.kind.name());
        Ok(compared(work, &ours, "typed by hand", &theirs, "1.5"))
    }

    /// One that reads the rows of `csv` from Parquet and writes them.
    fn pipeline(&self, bench: &Bench, name: &str, csv: &Path, config: &str) -> Outcome<PathBuf> {
        let read = data::extract("source", "filesystem.parquet_extractor", &bench.parquet_of(csv)?);
        let component = format!("{}.writer", self.kind.family());
        let config = format!("{config}, connection: \"@{}.{}\"", self.kind.family(), self.kind.alias());
        let directory = self.project(bench, &format!("{name}-{}", self.kind.alias()))?;
        data::pipeline(&directory, &[read, data::write("write", "source", &component, &config)])
    }

    /// An empty directory whose connections file names this server.
    pub(super) fn project(&self, bench: &Bench, name: &str) -> Outcome<PathBuf> {
        let directory = bench.fresh(name)?;
        connections(&directory, &[self])?;
        Ok(directory)
    }
}

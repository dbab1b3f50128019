//! MySQL: reading and writing against clients that do nothing but that, on a MariaDB of our own whose data is kept between runs.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::measure::{Cost, compared, cost};
use super::{Bench, Row, data};
use crate::{Outcome, shell};

const COLUMNS: &str = "l_orderkey BIGINT NOT NULL, l_partkey BIGINT NOT NULL, l_suppkey BIGINT NOT NULL, l_linenumber INT NOT NULL, \
    l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL, l_discount DECIMAL(15,2) NOT NULL, \
    l_tax DECIMAL(15,2) NOT NULL, l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL, l_shipdate DATE NOT NULL, \
    l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL, l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, \
    l_comment VARCHAR(44) NOT NULL";
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

/// All of them, on one server.
pub(super) fn mysql(bench: &Bench) -> Outcome<Vec<Row>> {
    let csv = bench.lineitem(&bench.scale)?;
    let server = Server::start(&bench.directory.join("mariadb"))?;
    let table = format!("lineitem_{}", bench.scale.replace('.', "_"));
    if server.sql("SHOW TABLES")?.lines().all(|line| line != table) {
        eprintln!("    loading {table}");
        server.sql(&format!("CREATE TABLE loading ({COLUMNS})"))?;
        server.run(&load(&csv, "loading"))?;
        server.sql(&format!("RENAME TABLE loading TO {table}"))?;
    }
    let mut rows = read(bench, &server, &table)?;
    rows.extend(parquet(bench, &server, &table)?);
    rows.push(write(bench, &server, &csv)?);
    rows.push(upsert(bench, &server)?);
    Ok(rows)
}

/// MySQL -> store against a client that reads the same rows and throws them away.
fn read(bench: &Bench, server: &Server, table: &str) -> Outcome<Vec<Row>> {
    let directory = server.project(bench, "mysql-read")?;
    let pipeline = data::pipeline(&directory, &[extract(table)])?;
    let (mut theirs, mut memory, mut file) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let mut discard = Command::new(&bench.reference);
        discard.args(["mysql-discard", &server.port.to_string(), &format!("SELECT * FROM {table}")]);
        theirs.push(cost(&mut discard)?);
        memory.push(cost(&mut bench.run(&pipeline, &["--store", "memory"]))?);
        file.push(cost(&mut bench.run(&pipeline, &["--store", "file"]))?);
    }
    let limit = "read and thrown away by sqlx";
    Ok(vec![
        compared(format!("{table} in MariaDB -> store in memory"), &memory, limit, &theirs, "1.25"),
        compared(format!("{table} in MariaDB -> store in a file"), &file, limit, &theirs, "1.8"),
    ])
}

/// MySQL -> Parquet against connectorx and pyarrow, where Python has them: as it is by default, and through a table.
fn parquet(bench: &Bench, server: &Server, table: &str) -> Outcome<Vec<Row>> {
    let directory = server.project(bench, "mysql-parquet")?;
    let steps = [extract(table), data::write("write", "source", "filesystem.parquet_writer", "path: out.parquet")];
    let pipeline = data::pipeline(&directory, &steps)?;
    let script = format!(
        "import connectorx, pyarrow.parquet\n\
         table = connectorx.read_sql('mysql://root@127.0.0.1:{}/bench', 'SELECT * FROM {table}', return_type='arrow')\n\
         pyarrow.parquet.write_table(table, '{}', compression='zstd')",
        server.port,
        directory.join("connectorx.parquet").display()
    );
    let python = || {
        let mut command = Command::new("python3");
        command.arg("-c").arg(&script);
        command
    };
    let mut import = Command::new("python3");
    import.args(["-c", "import connectorx, pyarrow.parquet"]).stderr(Stdio::null());
    let available = import.status().is_ok_and(|status| status.success());
    let (mut straight, mut stored, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        if available {
            theirs.push(cost(&mut python())?);
        }
        straight.push(cost(&mut bench.run(&pipeline, &[]))?);
        stored.push(cost(&mut bench.run(&pipeline, &["--jobs", "1"]))?);
    }
    let limit = if available { "connectorx and pyarrow" } else { "connectorx (Python has none here)" };
    let work = format!("{table} in MariaDB -> Parquet");
    Ok(vec![
        compared(work.clone(), &straight, limit, &theirs, "1, 250 MB"),
        compared(format!("{work}, through a table: `--jobs 1`"), &stored, limit, &theirs, "-"),
    ])
}

/// store -> MySQL: a run that reads Parquet and writes MySQL, less one that only reads, against LOAD DATA of a prepared file.
fn write(bench: &Bench, server: &Server, csv: &Path) -> Outcome<Row> {
    let source = bench.parquet_of(csv)?;
    let read = data::extract("source", "filesystem.parquet_extractor", &source);
    let write = data::write("write", "source", "mysql.writer", "table: target");
    let both = data::pipeline(&server.project(bench, "mysql-write/both")?, &[read.clone(), write])?;
    let only_read = data::pipeline(&server.project(bench, "mysql-write/read")?, &[read])?;
    server.sql(&format!("DROP TABLE IF EXISTS target; CREATE TABLE target ({COLUMNS})"))?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        server.sql("TRUNCATE target")?;
        theirs.push(server.run(&load(csv, "target"))?);
        server.sql("TRUNCATE target")?;
        let without = cost(&mut bench.run(&only_read, &["--store", "memory"]))?;
        let with = cost(&mut bench.run(&both, &["--store", "memory"]))?;
        ours.push(with.beyond(without));
    }
    Ok(compared("store -> MariaDB, append".to_owned(), &ours, "LOAD DATA LOCAL INFILE", &theirs, "1.3"))
}

/// An upsert of a million rows into a table that has them, against the same statements typed by hand.
fn upsert(bench: &Bench, server: &Server) -> Outcome<Row> {
    let csv = bench.lineitem(MILLION)?;
    let source = bench.parquet_of(&csv)?;
    let read = data::extract("source", "filesystem.parquet_extractor", &source);
    let config = "table: keyed, mode: upsert, key: [l_orderkey, l_linenumber]";
    let both = [read.clone(), data::write("write", "source", "mysql.writer", config)];
    let both = data::pipeline(&server.project(bench, "mysql-upsert/both")?, &both)?;
    let only_read = data::pipeline(&server.project(bench, "mysql-upsert/read")?, &[read])?;
    server.sql(&format!(
        "DROP TABLE IF EXISTS keyed; CREATE TABLE keyed ({COLUMNS}, PRIMARY KEY (l_orderkey, l_linenumber))"
    ))?;
    server.run(&load(&csv, "keyed"))?;
    let updates: Vec<String> = REST.iter().map(|name| format!("{name} = VALUES({name})")).collect();
    let by_hand = format!(
        "CREATE TEMPORARY TABLE staging LIKE keyed; {}; \
         INSERT INTO keyed SELECT * FROM staging ON DUPLICATE KEY UPDATE {}",
        load(&csv, "staging"),
        updates.join(", ")
    );
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        theirs.push(server.run(&by_hand)?);
        let without = cost(&mut bench.run(&only_read, &["--store", "memory"]))?;
        let with = cost(&mut bench.run(&both, &["--store", "memory"]))?;
        ours.push(with.beyond(without));
    }
    Ok(compared("store -> MariaDB, upsert of a million rows".to_owned(), &ours, "typed by hand", &theirs, "1.5"))
}

fn extract(table: &str) -> String {
    format!("  - id: source\n    component: mysql.extractor\n    mode: read\n    config: {{table: {table}}}\n")
}

fn load(csv: &Path, table: &str) -> String {
    format!(
        "LOAD DATA LOCAL INFILE '{}' INTO TABLE {table} FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' IGNORE 1 LINES",
        csv.display()
    )
}

/// A MariaDB that listens on loopback until it is dropped.
struct Server {
    process: Child,
    socket: PathBuf,
    port: u16,
}

impl Server {
    fn start(directory: &Path) -> Outcome<Self> {
        let program = |name: &str| {
            let found = shell::find_program(name, &["/usr/sbin".into(), "/usr/local/sbin".into()]);
            found.ok_or(format!("`{name}` is missing: install the packages `mariadb-server` and `mariadb-client`"))
        };
        let files = directory.join("data");
        let user = format!("--user={}", shell::capture(Command::new("id").arg("-un"))?.trim());
        let files_option = format!("--datadir={}", files.display());
        if !files.exists() {
            std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            let mut install = Command::new(program("mariadb-install-db")?);
            install.args(["--no-defaults", &user, &files_option, "--auth-root-authentication-method=normal"]);
            shell::run(install.args(["--skip-test-db", "--skip-name-resolve"]).stdout(Stdio::null()))?;
        }
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = port.map_err(|error| error.to_string())?.port();
        let socket = directory.join("socket");
        let process = Command::new(program("mariadbd")?)
            .args(["--no-defaults", &user, &files_option, "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args([format!("--socket={}", socket.display()), format!("--port={port}")])
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G"])
            .args(["--local-infile=1", "--character-set-server=utf8mb4"])
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("mariadbd could not be started: {error}"))?;
        let server = Self { process, socket, port };
        let started = Instant::now();
        while server.client("SELECT 1", "mysql").stderr(Stdio::null()).output().is_ok_and(|out| !out.status.success()) {
            if started.elapsed() > Duration::from_secs(60) {
                return Err("mariadbd did not start within a minute".to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        shell::run(&mut server.client("CREATE DATABASE IF NOT EXISTS bench", "mysql"))?;
        Ok(server)
    }

    fn client(&self, sql: &str, database: &str) -> Command {
        let mut command = Command::new("mariadb");
        command.arg("--no-defaults").arg("--local-infile=1").arg("--user=root").arg("--batch");
        command.arg("--skip-column-names").arg(format!("--socket={}", self.socket.display()));
        command.arg(format!("--execute={sql}")).arg(database);
        command
    }

    fn sql(&self, sql: &str) -> Outcome<String> {
        shell::capture(&mut self.client(sql, "bench"))
    }

    fn run(&self, sql: &str) -> Outcome<Cost> {
        cost(&mut self.client(sql, "bench"))
    }

    /// An empty directory whose connections file names this server.
    fn project(&self, bench: &Bench, name: &str) -> Outcome<PathBuf> {
        let directory = bench.fresh(name)?;
        let path = directory.join("osiris_connections.yaml");
        let text = format!(
            "version: 1\nconnections:\n  mysql:\n    bench: {{default: true, host: 127.0.0.1, port: {}, user: root, \
             password: \"\", database: bench, tls: disabled}}\n",
            self.port
        );
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(directory)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended well, so that the next start is quick; killed where that does not work.
        if shell::run(&mut self.client("SHUTDOWN", "mysql")).is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

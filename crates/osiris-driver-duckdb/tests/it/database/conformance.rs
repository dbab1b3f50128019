//! The components of database files against the driver rules.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_driver_duckdb::{Connect, register, register_with_client};
use osiris_testkit::{
    Destination, Fault, Incremental, InvalidConfig, Job, Mode, Place, Row, Rows, Sample, Subject, async_trait,
};
use serde_json::{Value, json};

use super::{execute, rows};

osiris_testkit::conformance_suite!(extract, extractor, Source);
osiris_testkit::conformance_suite!(write, writer, Target::default());

fn job(place: &Place, config: Value) -> Job {
    Job::new(config).connection(json!({"path": place.join("test.duckdb")}))
}

/// Connections that cannot be used.
fn broken_files(place: &Place, config: &Value) -> Result<Vec<Fault>> {
    let noise: Vec<u8> = (0..8192_u32).map(|byte| u8::try_from(byte % 251).unwrap_or(0)).collect();
    place.write("noise.duckdb", noise)?;
    let fault = |name: &str, path: &str| {
        let job = Job::new(config.clone()).connection(json!({"path": place.join(path)}));
        Fault::new(name, ErrorKind::Validation, job).of_connection().found_by_dry_run()
    };
    Ok(vec![fault("no such file", "absent.duckdb"), fault("not a database", "noise.duckdb"), fault("a directory", ".")])
}

fn failing_client() -> Connect {
    Arc::new(|_| Box::pin(async { Err(Error::network("the injected client fails").with_hint("inject another")) }))
}

/// A database is a file of this machine.
const IMPOSSIBLE: [(ErrorKind, &str); 3] = [
    (ErrorKind::Auth, "a file has no password"),
    (ErrorKind::Network, "a file is not opened over a network"),
    (ErrorKind::Timeout, "a file opens at once or not at all: waiting for a lock is no matter of the connection"),
];

struct Source;

impl Source {
    fn fill(place: &Place, sample: Sample) -> Result<()> {
        let mut sql =
            "CREATE OR REPLACE TABLE source (id BIGINT PRIMARY KEY, name VARCHAR, amount DECIMAL(12,2), day DATE, \
                       \"at\" TIMESTAMP, flag BOOLEAN); BEGIN;"
                .to_owned();
        let cell = |cell: &Option<String>| match cell.as_deref() {
            None => "NULL".to_owned(),
            Some(text) => format!("'{}'", text.replace('\'', "''")),
        };
        // A statement for each row would take DuckDB most of a minute.
        for rows in sample.text()?.rows().chunks(1000) {
            let row = |row: &Row| format!("({})", row.iter().map(cell).collect::<Vec<_>>().join(", "));
            sql.push_str(&format!(
                "INSERT INTO source VALUES {};",
                rows.iter().map(row).collect::<Vec<_>>().join(", ")
            ));
        }
        execute(&place.join("test.duckdb"), &(sql + "COMMIT"))
    }
}

#[async_trait]
impl Subject for Source {
    fn component(&self) -> &'static str {
        "duckdb.extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        register(registry)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        Some(register_with_client(registry, failing_client()))
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        Self::fill(place, sample)?;
        Ok(job(place, json!({"table": "source"})).expecting(sample.text()?.with_types(Sample::TYPES)))
    }

    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        Self::fill(place, Sample::new(0))?;
        let query = format!("SELECT id, printf('%0192d', id) AS padding FROM range({}) AS n(id)", sample.rows());
        Ok(Some(job(place, json!({"query": query}))))
    }

    async fn prepare_incremental(&self, place: &Place) -> Result<Option<Incremental>> {
        Self::fill(place, Sample::new(5))?;
        execute(&place.join("test.duckdb"), "CREATE OR REPLACE TABLE other AS SELECT * FROM source")?;
        let config = |table: &str, column: &str| json!({"table": table, "cursor": {"column": column}});
        let with = |field: &str, value: Value| {
            let mut config = config("source", "id");
            config[field] = value;
            job(place, config)
        };
        Ok(Some(
            Incremental::new(job(place, config("source", "id")))
                .same("smaller batches", with("batch_size", json!(2)))
                .other("another table", job(place, config("other", "id")))
                .other("another condition", with("where", json!("id > 0")))
                .other("another cursor", job(place, config("source", "amount"))),
        ))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"table": "t", "columns": ["a", "A"], "cursor": {"column": "b"}, "limit": 3});
        vec![
            InvalidConfig::new(config, ["columns", "limit"]),
            InvalidConfig::new(json!({"query": "SELECT 1; SELECT 2", "limit": 1}), ["limit", "query"]),
            InvalidConfig::new(
                json!({"table": "t", "where": "a = 1; DROP TABLE t", "order_by": "a; COMMIT"}),
                ["where", "order_by"],
            ),
            InvalidConfig::new(json!({}), ["nothing to read"]),
        ]
    }

    fn minimal_config(&self) -> Option<Value> {
        Some(json!({"table": "source"}))
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        execute(
            &place.join("test.duckdb"),
            "CREATE OR REPLACE TABLE bad (day VARCHAR); INSERT INTO bad VALUES ('soon')",
        )?;
        let fault =
            |name: &str, config: Value| Fault::new(name, ErrorKind::Validation, job(place, config)).found_by_dry_run();
        let mut faults = broken_files(place, &json!({"query": "SELECT 1 AS one"}))?;
        faults.extend([
            fault("no such table", json!({"table": "no_such_table"})),
            fault("no such column", json!({"query": "SELECT no_such_column FROM bad"})),
            fault("no such column of the table", json!({"table": "bad", "columns": ["day", "no_such_column"]})),
            fault("no date", json!({"query": "SELECT CAST(day AS DATE) AS day FROM bad"})),
        ]);
        Ok(faults)
    }

    fn modifying_configs(&self) -> Vec<Value> {
        let queries = [
            "DELETE FROM source",
            "SELECT 1; DROP TABLE source",
            "WITH x AS (DELETE FROM source RETURNING *) SELECT * FROM x",
            "PRAGMA enable_profiling",
            "ATTACH 'other.duckdb' AS other",
            "COPY source TO 'source.csv'",
            "SELECT * FROM read_csv('source.csv')",
            "SELECT * FROM force_checkpoint()",
        ];
        queries.map(|query| json!({"query": query})).to_vec()
    }

    fn impossible_connection_faults(&self) -> &'static [(ErrorKind, &'static str)] {
        &IMPOSSIBLE
    }

    fn resources(&self) -> Vec<String> {
        vec!["source".to_owned()]
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("DRV-012", "one result is streamed, nothing is paged"),
            ("DRV-013", "one result is streamed, nothing is paged"),
            ("DRV-015", "no HTTP"),
            ("DRV-016", "no HTTP"),
        ]
    }
}

/// The table `target` of a file.
#[derive(Default)]
struct Target(OnceLock<PathBuf>);

#[async_trait]
impl Subject for Target {
    fn component(&self) -> &'static str {
        "duckdb.writer"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        register(registry)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        Some(register_with_client(registry, failing_client()))
    }

    async fn prepare(&self, place: &Place, _: u64) -> Result<Job> {
        let file = place.join("test.duckdb");
        execute(&file, "DROP TABLE IF EXISTS target; CREATE TABLE IF NOT EXISTS other (id INTEGER)")?;
        self.0.get_or_init(|| file);
        Ok(job(place, json!({"table": "target", "create_if_missing": true})))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({
            "table": "t", "mode": "overwrite", "on_conflict": "ignore", "dedupe": "last", "columns": ["a", "A"],
            "commit_table": "T"
        });
        vec![
            InvalidConfig::new(config, ["on_conflict", "dedupe", "order_by", "columns", "commit_table"]),
            InvalidConfig::new(json!({"table": "t", "mode": "upsert"}), ["key"]),
        ]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        execute(&place.join("test.duckdb"), "CREATE TABLE IF NOT EXISTS narrow (id INTEGER, amount INTEGER)")?;
        let narrow = job(place, json!({"table": "narrow"}));
        let narrow = narrow.input("wide-step", "SELECT i AS id, 0.5::DECIMAL(12,2) AS amount FROM range(10) r(i)");
        let missing = job(place, json!({"table": "no_such_table"}));
        let mut faults = broken_files(place, &json!({"table": "target", "create_if_missing": true}))?;
        faults.push(Fault::new("no such table", ErrorKind::Validation, missing).found_by_dry_run());
        faults.push(Fault::new("values that do not fit", ErrorKind::Integrity, narrow));
        Ok(faults)
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn impossible_connection_faults(&self) -> &'static [(ErrorKind, &'static str)] {
        &IMPOSSIBLE
    }

    fn resources(&self) -> Vec<String> {
        vec!["other".to_owned()]
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[("DRV-015", "no HTTP"), ("DRV-016", "no HTTP")]
    }
}

#[async_trait]
impl Destination for Target {
    async fn read(&self, place: &Place) -> Result<Option<Rows>> {
        let file = place.join("test.duckdb");
        if !fs::exists(&file)? {
            return Ok(None);
        }
        let columns =
            rows(&file, "SELECT column_name FROM duckdb_columns() WHERE table_name = 'target' ORDER BY column_index")?;
        let list: Vec<String> = columns
            .rows()
            .iter()
            .map(|row| row[0].clone().unwrap_or_default().replace('"', "\"\""))
            .map(|name| format!("CAST(\"{name}\" AS VARCHAR) AS \"{name}\""))
            .collect();
        if list.is_empty() {
            return Ok(None);
        }
        rows(&file, &format!("SELECT {} FROM target", list.join(", "))).map(Some)
    }

    fn modes(&self) -> Vec<Mode> {
        Mode::ALL.to_vec()
    }

    /// The suite creates the table by a mode that needs no key, whatever mode comes next.
    fn with_mode(&self, mut config: Value, mode: Mode) -> Value {
        config["mode"] = json!(mode.as_str());
        if let (Mode::Upsert, Some(file)) = (mode, self.0.get()) {
            // The table may not exist yet.
            let _ = execute(file, "CREATE UNIQUE INDEX IF NOT EXISTS by_id ON target (id)");
            config["key"] = json!(["id"]);
        }
        config
    }

    /// The log of a disk that was full is replayed when the file is opened, which takes room: the rows cannot be read before.
    fn writes_files(&self) -> bool {
        false
    }
}

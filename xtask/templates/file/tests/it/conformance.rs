//! The components against the driver rules. Tables are written and read here without the driver's code.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::sync::Arc;

use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_driver_samplefile::{Connect, SampleFileExtractor, SampleFileWriter};
use osiris_testkit::{
    Destination, Fault, InvalidConfig, Job, Mode, Paging, Place, Row, Rows, Sample, Subject, async_trait,
};
use serde_json::{Value, json};

osiris_testkit::conformance_suite!(extract, extractor, Source);
osiris_testkit::conformance_suite!(write, writer, Target);

fn connection(place: &Place) -> Value {
    json!({"directory": place.path()})
}

fn failing_client() -> Connect {
    Arc::new(|_| Err(Error::network("broken").with_connection_failed()))
}

/// A connection that cannot be used.
fn no_directory(place: &Place, config: Value) -> Fault {
    let nowhere = json!({"directory": place.join("nowhere")});
    Fault::new("no directory", ErrorKind::Network, Job::new(config).connection(nowhere))
        .of_connection()
        .found_by_dry_run()
}

/// A directory that is missing is all that can be wrong with a connection. For a server remove this, and add the faults.
const IMPOSSIBLE: [(ErrorKind, &str); 2] =
    [(ErrorKind::Auth, "a directory has no password"), (ErrorKind::Timeout, "a directory is there or not")];

struct Source;

impl Source {
    fn fill(place: &Place, rows: &Rows) -> Result<()> {
        let mut lines = vec![rows.columns().join("\t")];
        for row in rows.rows() {
            let cells: Vec<String> = row.iter().map(|cell| cell.as_deref().map_or("\\N".to_owned(), cell_of)).collect();
            lines.push(cells.join("\t"));
        }
        place.write("source.txt", lines.join("\n") + "\n").map(drop)
    }
}

fn cell_of(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

#[async_trait]
impl Subject for Source {
    fn component(&self) -> &'static str {
        "samplefile.extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_samplefile::register(registry)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        Some(registry.extractor(SampleFileExtractor::with_client(failing_client())).add())
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let rows = Sample::new(rows).text()?;
        Self::fill(place, &rows)?;
        let expected = rows.with_types(["VARCHAR"; 6]);
        Ok(Job::new(json!({"table": "source"})).connection(connection(place)).expecting(expected))
    }

    async fn prepare_volume(&self, place: &Place, rows: Sample) -> Result<Option<Job>> {
        let mut out = BufWriter::new(File::create(place.join("source.txt"))?);
        writeln!(out, "id\tname")?;
        for id in 0..rows.rows() {
            writeln!(out, "{id}\t{id:0240}")?;
        }
        out.flush()?;
        Ok(Some(Job::new(json!({"table": "source"})).connection(connection(place))))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![
            InvalidConfig::new(json!({"table": "../source"}), ["table", "not a path"]),
            InvalidConfig::new(json!({"table": "", "page_size": 0}), ["table", "page_size"]),
        ]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        place.write("ragged.txt", "a\tb\n1\t2\n3\n")?;
        place.write("latin.txt", b"a\ncaf\xe9\n")?;
        let job = |table: &str| Job::new(json!({"table": table})).connection(connection(place));
        Ok(vec![
            Fault::new("a ragged row", ErrorKind::Validation, job("ragged")).found_by_dry_run(),
            Fault::new("bytes that are no UTF-8", ErrorKind::Validation, job("latin")).found_by_dry_run(),
            Fault::new("no such table", ErrorKind::Validation, job("absent")).found_by_dry_run(),
            no_directory(place, json!({"table": "source"})),
        ])
    }

    fn paging(&self) -> Option<Paging> {
        Some(Paging::by("page_size"))
    }

    fn impossible_connection_faults(&self) -> &'static [(ErrorKind, &'static str)] {
        &IMPOSSIBLE
    }

    fn resources(&self) -> Vec<String> {
        vec!["source".to_owned()]
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[("DRV-015", "no HTTP"), ("DRV-016", "no HTTP"), ("CRT-006", "its configuration has no statements")]
    }
}

struct Target;

#[async_trait]
impl Subject for Target {
    fn component(&self) -> &'static str {
        "samplefile.writer"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_samplefile::register(registry)
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        Some(registry.writer(SampleFileWriter::with_client(failing_client())).add())
    }

    async fn prepare(&self, place: &Place, _: u64) -> Result<Job> {
        // For discovery to find.
        place.write("other.txt", "id\n")?;
        let table = place.join("target.txt");
        if table.exists() {
            fs::remove_file(table)?;
        }
        Ok(Job::new(json!({"table": "target"})).connection(connection(place)))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"table": "target", "columns": ["id", "id"], "mode": "merge", "max_rejects": -1});
        vec![
            InvalidConfig::new(json!({"table": "../target"}), ["table", "not a path"]),
            InvalidConfig::new(config, ["columns", "mode", "max_rejects"]),
        ]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        fs::create_dir_all(place.join("directory.txt"))?;
        let job = |table: &str| Job::new(json!({"table": table})).connection(connection(place));
        let bytes = job("target").input("bytes-step", "SELECT 1 AS id, 'x'::BLOB AS content");
        // The row that is refused comes when most of the table is written.
        let late =
            "SELECT i AS id, if(i = 49000, chr(0), 'x') AS name, NULL AS amount, NULL AS day, NULL AS at, NULL AS flag
            FROM range(50000) t(i)";
        let late = job("target").input("late-step", late);
        Ok(vec![
            Fault::new("bytes", ErrorKind::Validation, bytes).found_by_dry_run(),
            Fault::new("a directory in place of the table", ErrorKind::Validation, job("directory")),
            Fault::new("a row that is refused", ErrorKind::Integrity, late),
            no_directory(place, json!({"table": "target"})),
        ])
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
        let path = place.join("target.txt");
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(path)?;
        assert!(text.ends_with('\n'), "the table ends in the middle of a line");
        let mut lines = text.split_terminator('\n').map(row_of);
        let header = lines.next().unwrap_or_default();
        let mut rows = Rows::new(header.into_iter().map(Option::unwrap_or_default));
        lines.for_each(|row| rows.push(row));
        Ok(Some(rows))
    }

    fn modes(&self) -> Vec<Mode> {
        vec![Mode::Append, Mode::Overwrite]
    }

    fn writes_files(&self) -> bool {
        true
    }
}

/// A line as a row; U+0000, which no table has, stands for a backslash meanwhile.
fn row_of(line: &str) -> Row {
    let text = |cell: &str| {
        let text = cell.replace("\\\\", "\0").replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r");
        text.replace('\0', "\\")
    };
    line.split('\t').map(|cell| (cell != "\\N").then(|| text(cell))).collect()
}

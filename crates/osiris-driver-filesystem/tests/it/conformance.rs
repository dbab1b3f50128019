//! The components against the driver rules.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use osiris_core::rows::Row as JsonRow;
use osiris_core::{ErrorKind, Registry, Result, store};
use osiris_testkit::{
    Bench, BenchOptions, Destination, Fault, InputTable, InvalidConfig, Job, Mode, Place, Row, Rows, Sample, Subject,
    async_trait,
};
use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};

osiris_testkit::conformance_suite!(extract, arrow_extractor, ArrowSource);
osiris_testkit::conformance_suite!(extract, csv_extractor, CsvSource);
osiris_testkit::conformance_suite!(extract, excel_extractor, ExcelSource);
osiris_testkit::conformance_suite!(extract, json_extractor, JsonSource);
osiris_testkit::conformance_suite!(extract, jsonl_extractor, JsonlSource);
osiris_testkit::conformance_suite!(extract, parquet_extractor, ParquetSource);
osiris_testkit::conformance_suite!(write, arrow_writer, ArrowTarget);
osiris_testkit::conformance_suite!(write, csv_writer, CsvTarget);
osiris_testkit::conformance_suite!(write, json_writer, JsonTarget);
osiris_testkit::conformance_suite!(write, jsonl_writer, JsonlTarget);
osiris_testkit::conformance_suite!(write, parquet_writer, ParquetTarget);

/// A rule that cannot be tried, and the reason.
type NotApplicable = (&'static str, &'static str);

/// Files are no service: nothing to page or to discover.
const READING: [NotApplicable; 10] = [
    ("DRV-012", "files are not paged"),
    ("DRV-013", "files are not paged"),
    ("DRV-015", "no HTTP"),
    ("DRV-016", "no HTTP"),
    ("DRV-019", "declares no discovery"),
    ("DRV-020", "declares no discovery"),
    ("DRV-021", "declares no discovery"),
    ("DRV-027", "has no client; the standard streams can be injected, which the tests of the path `-` do"),
    ("CRT-006", "its configuration has no statements"),
    ("CRT-007", "its connection is a directory"),
];
/// Files of Parquet are read where they lie.
const READING_PARQUET: [NotApplicable; 11] =
    with(("DRV-014", "a view of the files is made at once, and whoever reads it counts its rows"));
/// A sheet has fewer rows than the rule about memory needs.
const READING_EXCEL: [NotApplicable; 11] =
    with(("DRV-029", "a sheet has 1,048,576 rows at most, and its texts are in memory"));
/// How many rows a sheet has at most.
const MOST_ROWS: u64 = 1 << 20;

/// What cannot be tried with any file, and one rule more.
const fn with(one: NotApplicable) -> [NotApplicable; 11] {
    let mut all = [one; 11];
    let mut index = 0;
    while index < READING.len() {
        all[index] = READING[index];
        index += 1;
    }
    all
}

const WRITING: [NotApplicable; 7] = [
    ("DRV-015", "no HTTP"),
    ("DRV-016", "no HTTP"),
    ("DRV-019", "declares no discovery"),
    ("DRV-020", "declares no discovery"),
    ("DRV-021", "declares no discovery"),
    ("DRV-027", "has no client; the standard streams can be injected, which the tests of the path `-` do"),
    ("CRT-007", "its connection is a directory"),
];

struct ArrowSource;

impl ArrowSource {
    fn write(path: &Path, sample: Sample) -> Result<()> {
        let mut batches = sample.batches().peekable();
        let Some(Ok(first)) = batches.peek() else { panic!("the sample has no batch") };
        let mut file = FileWriter::try_new_buffered(File::create(path)?, &first.schema()).unwrap();
        for batch in batches {
            file.write(&batch?).unwrap();
        }
        file.finish().unwrap();
        Ok(())
    }
}

#[async_trait]
impl Subject for ArrowSource {
    fn component(&self) -> &'static str {
        "filesystem.arrow_extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        Self::write(&place.join("source.arrow"), sample)?;
        let expected = sample.text()?.with_types(Sample::TYPES);
        Ok(Job::new(json!({"path": "source.arrow"})).expecting(expected))
    }

    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        Self::write(&place.join("source.arrow"), sample)?;
        Ok(Some(Job::new(json!({"path": "source.arrow"}))))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        vec![InvalidConfig::new(json!({"path": "ftp://a.arrow", "columns": ["a", "A"]}), ["path", "columns"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        place.write("broken.arrow", "ARROW1 this is not Arrow ARROW1")?;
        let job = |path: &str| Job::new(json!({"path": path}));
        let escapes = job("../a.arrow").connection(json!({"base_dir": "."}));
        Ok(vec![
            Fault::new("no Arrow", ErrorKind::Validation, job("broken.arrow")).found_by_dry_run(),
            Fault::new("no such file", ErrorKind::Validation, job("absent.arrow")).found_by_dry_run(),
            Fault::new("a path that leaves its directory", ErrorKind::Permission, escapes).found_by_dry_run(),
        ])
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &READING
    }
}

struct CsvSource;

impl CsvSource {
    /// Every field in quotes but numbers; NULL is an empty field.
    fn write(path: &Path, sample: Sample) -> Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        for (index, batch) in sample.batches().enumerate() {
            let rows = Rows::from_batches(&[batch?])?;
            if index == 0 {
                writeln!(out, "{}", rows.columns().join(","))?;
            }
            for row in rows.rows() {
                let fields: Vec<String> =
                    row.iter().map(|field| field.as_deref().map_or(String::new(), quoted)).collect();
                writeln!(out, "{}", fields.join(","))?;
            }
        }
        Ok(out.flush()?)
    }
}

/// A file made by the engine, not by a driver.
async fn copy(place: &Place, sample: Sample, name: &str, options: &str) -> Result<()> {
    let bench = Bench::at(place, &BenchOptions::new().in_a_file(), |_| Ok(()))?;
    let table = bench.table("sample", sample).await?;
    let path = store::quote_text(&place.join(name).display().to_string());
    let sql = format!("COPY {} TO {path} ({options})", table.sql());
    let copy = move |connection: &duckdb::Connection| {
        connection.execute_batch(&sql).map_err(|error| store::store_error(error, "the source could not be made"))
    };
    bench.store().call(copy).await
}

/// Row groups of a size that a small memory limit allows to read.
const PARQUET: &str = "FORMAT parquet, ROW_GROUP_SIZE 20480";

fn quoted(field: &str) -> String {
    format!("\"{}\"", field.replace('"', "\"\""))
}

#[async_trait]
impl Subject for CsvSource {
    fn component(&self) -> &'static str {
        "filesystem.csv_extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        Self::write(&place.join("source.csv"), sample)?;
        let expected = sample.text()?.with_types(Sample::TYPES);
        let config = json!({"path": "source.csv", "dtype": {"amount": "DECIMAL(12,2)"}});
        Ok(Job::new(config).expecting(expected))
    }

    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        copy(place, sample, "source.csv", "FORMAT csv, HEADER").await?;
        Ok(Some(Job::new(json!({"path": "source.csv"}))))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"path": "a.csv", "delimiter": "ab", "comment": "cd", "encoding": "no-such"});
        vec![InvalidConfig::new(config, ["delimiter", "comment", "encoding"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        place.write("ragged.csv", "a,b\n1,2\n3\n")?;
        place.write("latin.csv", b"a\ncaf\xe9\n")?;
        let job = |path: &str| Job::new(json!({"path": path}));
        let escapes = job("../a.csv").connection(json!({"base_dir": "."}));
        Ok(vec![
            Fault::new("a ragged row", ErrorKind::Validation, job("ragged.csv")).found_by_dry_run(),
            Fault::new("bytes that are not UTF-8", ErrorKind::Validation, job("latin.csv")).found_by_dry_run(),
            Fault::new("no such file", ErrorKind::Validation, job("absent.csv")).found_by_dry_run(),
            Fault::new("a path that leaves its directory", ErrorKind::Permission, escapes).found_by_dry_run(),
        ])
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &READING
    }
}

struct ExcelSource;

impl ExcelSource {
    /// Every value as text, and nothing for NULL.
    fn write(path: &Path, sample: Sample) -> Result<()> {
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet();
        let mut next = 0;
        for batch in sample.batches() {
            let rows = Rows::from_batches(&[batch?])?;
            if next == 0 {
                for (column, name) in (0..).zip(rows.columns()) {
                    sheet.write_string(0, column, name).unwrap();
                }
            }
            for row in rows.rows() {
                next += 1;
                for (column, field) in (0..).zip(row) {
                    if let Some(text) = field {
                        sheet.write_string(next, column, text).unwrap();
                    }
                }
            }
        }
        workbook.save(path).unwrap();
        Ok(())
    }
}

#[async_trait]
impl Subject for ExcelSource {
    fn component(&self) -> &'static str {
        "filesystem.excel_extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        Self::write(&place.join("source.xlsx"), sample)?;
        // A cell without a text is as good as none.
        let text = sample.text()?;
        let mut expected = Rows::new(text.columns().to_vec()).with_types(Sample::TYPES);
        for row in text.rows() {
            expected.push(row.iter().map(|field| field.clone().filter(|text| !text.is_empty())).collect());
        }
        Ok(Job::new(json!({"path": "source.xlsx", "dtype": sample_types(&expected)})).expecting(expected))
    }

    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        if sample.rows() >= MOST_ROWS {
            return Ok(None);
        }
        Self::write(&place.join("source.xlsx"), sample)?;
        Ok(Some(Job::new(json!({"path": "source.xlsx"}))))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"path": "a.xlsx", "range": "2:3", "sheet": 0, "dtype": {"id": "INTEGR"}});
        vec![InvalidConfig::new(config, ["range", "sheet", "dtype"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        place.write("text.xlsx", "a,b\n1,2\n")?;
        Self::write(&place.join("source.xlsx"), Sample::new(3))?;
        let job = |config: Value| Job::new(config);
        let escapes = job(json!({"path": "../a.xlsx"})).connection(json!({"base_dir": "."}));
        let no_sheet = job(json!({"path": "source.xlsx", "sheet": "absent"}));
        Ok(vec![
            Fault::new("no workbook", ErrorKind::Validation, job(json!({"path": "text.xlsx"}))).found_by_dry_run(),
            Fault::new("no such sheet", ErrorKind::Validation, no_sheet).found_by_dry_run(),
            Fault::new("no such file", ErrorKind::Validation, job(json!({"path": "absent.xlsx"}))).found_by_dry_run(),
            Fault::new("a path that leaves its directory", ErrorKind::Permission, escapes).found_by_dry_run(),
        ])
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &READING_EXCEL
    }
}

/// A file of objects: what it begins with, what stands between two of them, and what it ends with. Numbers and booleans are as
/// they are, everything else is in quotes.
fn write_objects(path: &Path, sample: Sample, [head, between, tail]: [&str; 3]) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut before = head;
    for batch in sample.batches() {
        let rows = Rows::from_batches(&[batch?])?;
        for row in rows.rows() {
            let members = rows.columns().iter().zip(row).map(|(name, field)| {
                let value = match (name.as_str(), field) {
                    (_, None) => "null".to_owned(),
                    ("id" | "amount" | "flag", Some(plain)) => plain.clone(),
                    (_, Some(text)) => json!(text).to_string(),
                };
                format!("{}:{value}", json!(name))
            });
            write!(out, "{before}{{{}}}", members.collect::<Vec<_>>().join(","))?;
            before = between;
        }
    }
    if before == head {
        write!(out, "{head}")?;
    }
    write!(out, "{tail}")?;
    Ok(out.flush()?)
}

/// The types of a sample by column.
fn sample_types(expected: &Rows) -> Value {
    let columns = expected.columns().iter().cloned().zip(Sample::TYPES.map(Value::from));
    columns.collect::<serde_json::Map<_, _>>().into()
}

struct JsonSource;

#[async_trait]
impl Subject for JsonSource {
    fn component(&self) -> &'static str {
        "filesystem.json_extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        write_objects(&place.join("source.json"), sample, ["{\"data\": [", ",\n", "]}\n"])?;
        let expected = sample.text()?.with_types(Sample::TYPES);
        let config = json!({"path": "source.json", "data_path": "data", "dtype": sample_types(&expected)});
        Ok(Job::new(config).expecting(expected))
    }

    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        copy(place, sample, "source.json", "FORMAT json, ARRAY true").await?;
        Ok(Some(Job::new(json!({"path": "source.json"}))))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"path": "a.json", "dtype": {"id": "INTEGR"}, "max_rejects": 2, "data_path": "a..b"});
        vec![InvalidConfig::new(config, ["dtype", "max_rejects", "data_path"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        place.write("broken.json", "[{\"a\": 1}, {\"a\": ")?;
        place.write("lines.json", "{\"a\": 1}\n{\"a\": 2}\n")?;
        place.write("latin.json", b"[{\"a\": \"caf\xe9\"}]")?;
        let job = |path: &str| Job::new(json!({"path": path}));
        let escapes = job("../a.json").connection(json!({"base_dir": "."}));
        Ok(vec![
            Fault::new("a document that is cut off", ErrorKind::Validation, job("broken.json")).found_by_dry_run(),
            Fault::new("JSON lines", ErrorKind::Validation, job("lines.json")).found_by_dry_run(),
            Fault::new("bytes that are not UTF-8", ErrorKind::Validation, job("latin.json")).found_by_dry_run(),
            Fault::new("no such file", ErrorKind::Validation, job("absent.json")).found_by_dry_run(),
            Fault::new("a path that leaves its directory", ErrorKind::Permission, escapes).found_by_dry_run(),
        ])
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &READING
    }
}

struct JsonlSource;

#[async_trait]
impl Subject for JsonlSource {
    fn component(&self) -> &'static str {
        "filesystem.jsonl_extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        write_objects(&place.join("source.jsonl"), sample, ["", "\n", "\n"])?;
        let expected = sample.text()?.with_types(Sample::TYPES);
        Ok(Job::new(json!({"path": "source.jsonl", "dtype": sample_types(&expected)})).expecting(expected))
    }

    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        copy(place, sample, "source.jsonl", "FORMAT json").await?;
        Ok(Some(Job::new(json!({"path": "source.jsonl"}))))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"path": "a.jsonl", "dtype": {"id": "INTEGR"}, "max_rejects": 2});
        vec![InvalidConfig::new(config, ["dtype", "max_rejects"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        place.write("broken.jsonl", "{\"a\": 1}\n{\"a\": \n")?;
        place.write("list.jsonl", "[{\"a\": 1}]\n")?;
        place.write("latin.jsonl", b"{\"a\": \"caf\xe9\"}\n")?;
        let job = |path: &str| Job::new(json!({"path": path}));
        let escapes = job("../a.jsonl").connection(json!({"base_dir": "."}));
        Ok(vec![
            Fault::new("a line that is cut off", ErrorKind::Validation, job("broken.jsonl")).found_by_dry_run(),
            Fault::new("a line with a list", ErrorKind::Validation, job("list.jsonl")).found_by_dry_run(),
            Fault::new("bytes that are not UTF-8", ErrorKind::Validation, job("latin.jsonl")).found_by_dry_run(),
            Fault::new("no such file", ErrorKind::Validation, job("absent.jsonl")).found_by_dry_run(),
            Fault::new("a path that leaves its directory", ErrorKind::Permission, escapes).found_by_dry_run(),
        ])
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &READING
    }
}

struct ParquetSource;

#[async_trait]
impl Subject for ParquetSource {
    fn component(&self) -> &'static str {
        "filesystem.parquet_extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        copy(place, sample, "source.parquet", PARQUET).await?;
        let expected = sample.text()?.with_types(Sample::TYPES);
        Ok(Job::new(json!({"path": "source.parquet"})).expecting(expected))
    }

    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        copy(place, sample, "source.parquet", PARQUET).await?;
        Ok(Some(Job::new(json!({"path": "source.parquet"}))))
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        place.write("broken.parquet", "PAR1 this is not Parquet PAR1")?;
        copy(place, Sample::new(3), "source.parquet", PARQUET).await?;
        let job = |config: Value| Job::new(config);
        let filter = json!({"path": "source.parquet", "filter": "no_such_column = 1"});
        Ok(vec![
            Fault::new("no Parquet", ErrorKind::Validation, job(json!({"path": "broken.parquet"}))).found_by_dry_run(),
            Fault::new("no such file", ErrorKind::Validation, job(json!({"path": "absent.parquet"})))
                .found_by_dry_run(),
            Fault::new("a filter over no column", ErrorKind::Validation, job(filter)).found_by_dry_run(),
        ])
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &READING_PARQUET
    }
}

fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Faults that every writer of files has.
fn writing_faults(place: &Place, extension: &str) -> Result<Vec<Fault>> {
    fs::create_dir_all(place.join(format!("directory.{extension}")))?;
    let job = |config: Value| Job::new(config);
    let directory = json!({"path": format!("directory.{extension}")});
    let nowhere = json!({"path": format!("absent/target.{extension}"), "create_dirs": false});
    Ok(vec![
        Fault::new("a directory", ErrorKind::Validation, job(directory)).found_by_dry_run(),
        Fault::new("no directory", ErrorKind::Validation, job(nowhere)).found_by_dry_run(),
    ])
}

struct ArrowTarget;

#[async_trait]
impl Subject for ArrowTarget {
    fn component(&self) -> &'static str {
        "filesystem.arrow_writer"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, _: u64) -> Result<Job> {
        remove(&place.join("target.arrow"))?;
        Ok(Job::new(json!({"path": "target.arrow"})))
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        writing_faults(place, "arrow")
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &WRITING
    }
}

#[async_trait]
impl Destination for ArrowTarget {
    async fn read(&self, place: &Place) -> Result<Option<Rows>> {
        let path = place.join("target.arrow");
        if !path.exists() {
            return Ok(None);
        }
        let file = FileReader::try_new_buffered(File::open(path)?, None).unwrap();
        // The columns are there even without rows.
        let mut batches = vec![RecordBatch::new_empty(file.schema())];
        batches.extend(file.map(|batch| batch.unwrap()));
        Ok(Some(Rows::from_batches(&batches)?))
    }

    fn modes(&self) -> Vec<Mode> {
        vec![Mode::Overwrite]
    }

    fn writes_files(&self) -> bool {
        true
    }
}

struct CsvTarget;

#[async_trait]
impl Subject for CsvTarget {
    fn component(&self) -> &'static str {
        "filesystem.csv_writer"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, _: u64) -> Result<Job> {
        remove(&place.join("target.csv"))?;
        Ok(Job::new(json!({"path": "target.csv"})))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"path": "a.csv", "delimiter": "ab", "encoding": "no-such"});
        vec![InvalidConfig::new(config, ["delimiter", "encoding"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        // The character that ASCII lacks comes when most of the file is written.
        let late = "SELECT i AS id, if(i = 49000, 'ů', 'u') AS name FROM range(50000) t(i)";
        let ascii = Job::new(json!({"path": "target.csv", "encoding": "ascii"})).input("late-step", late);
        let mut faults = writing_faults(place, "csv")?;
        faults.push(Fault::new("a character that the encoding lacks", ErrorKind::Validation, ascii));
        Ok(faults)
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &WRITING
    }
}

#[async_trait]
impl Destination for CsvTarget {
    async fn read(&self, place: &Place) -> Result<Option<Rows>> {
        let path = place.join("target.csv");
        if !path.exists() {
            return Ok(None);
        }
        let mut records = parse(&fs::read_to_string(path)?).into_iter();
        let header = records.next().unwrap_or_default();
        let mut rows = Rows::new(header.into_iter().map(Option::unwrap_or_default));
        records.for_each(|record| rows.push(record));
        Ok(Some(rows))
    }

    fn modes(&self) -> Vec<Mode> {
        vec![Mode::Append, Mode::Overwrite]
    }

    fn writes_files(&self) -> bool {
        true
    }
}

/// CSV by RFC 4180, in which an empty field without quotes is NULL. On purpose not the driver's own reader.
fn parse(text: &str) -> Vec<Row> {
    let (mut records, mut record, mut field) = (Vec::new(), Row::new(), String::new());
    let (mut inside, mut was_quoted) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if inside && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => {
                inside = !inside;
                was_quoted = true;
            }
            ',' | '\n' if !inside => {
                let text = std::mem::take(&mut field);
                record.push((was_quoted || !text.is_empty()).then_some(text));
                was_quoted = false;
                if character == '\n' {
                    records.push(std::mem::take(&mut record));
                }
            }
            other => field.push(other),
        }
    }
    assert!(record.is_empty() && field.is_empty() && !inside, "the file ends in the middle of a line");
    records
}

/// A value of an object as text: a number with all its digits, a timestamp as a sample has it.
fn value_text(object: &str, name: &str, value: &Value) -> Option<String> {
    let is_moment = |text: &str| text.len() >= 19 && text.as_bytes()[4] == b'-' && text.as_bytes()[10] == b'T';
    match value {
        Value::Null => None,
        Value::String(text) if is_moment(text) => Some(text.replacen('T', " ", 1)),
        Value::String(text) => Some(text.clone()),
        _ => JsonRow::new(object).get(name)?.text().map(Cow::into_owned),
    }
}

/// The rows of objects.
fn object_rows<'a>(objects: impl Iterator<Item = &'a str>) -> Rows {
    let mut rows: Option<Rows> = None;
    for text in objects {
        let object: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
        let row = object.iter().map(|(name, value)| value_text(text, name, value)).collect();
        rows.get_or_insert_with(|| Rows::new(object.keys())).push(row);
    }
    rows.unwrap_or_default()
}

struct JsonTarget;

#[async_trait]
impl Subject for JsonTarget {
    fn component(&self) -> &'static str {
        "filesystem.json_writer"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, _: u64) -> Result<Job> {
        remove(&place.join("target.json"))?;
        Ok(Job::new(json!({"path": "target.json"})))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"path": "a.json", "mode": "append", "columns": []});
        vec![InvalidConfig::new(config, ["mode", "columns"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        // The number that JSON lacks comes when most of the file is written.
        let late = "SELECT i AS id, if(i = 49000, 'nan'::DOUBLE, 1.5) AS number FROM range(50000) t(i)";
        let nan = Job::new(json!({"path": "target.json"})).input("late-step", late);
        let mut faults = writing_faults(place, "json")?;
        faults.push(Fault::new("a number that JSON lacks", ErrorKind::Validation, nan));
        Ok(faults)
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &WRITING
    }
}

#[async_trait]
impl Destination for JsonTarget {
    async fn read(&self, place: &Place) -> Result<Option<Rows>> {
        let path = place.join("target.json");
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(path)?;
        // One document, with an object in each line.
        serde_json::from_str::<Vec<Value>>(&text).unwrap();
        let objects = text.lines().filter(|line| line.starts_with('{'));
        Ok(Some(object_rows(objects.map(|line| line.trim_end_matches(',')))))
    }

    fn modes(&self) -> Vec<Mode> {
        vec![Mode::Overwrite]
    }

    fn writes_files(&self) -> bool {
        true
    }
}

struct JsonlTarget;

#[async_trait]
impl Subject for JsonlTarget {
    fn component(&self) -> &'static str {
        "filesystem.jsonl_writer"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, _: u64) -> Result<Job> {
        remove(&place.join("target.jsonl"))?;
        Ok(Job::new(json!({"path": "target.jsonl"})))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let config = json!({"path": "a.jsonl", "mode": "append", "compression": "zip", "columns": []});
        vec![InvalidConfig::new(config, ["mode", "columns"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        // The number that JSON lacks comes when most of the file is written.
        let late = "SELECT i AS id, if(i = 49000, 'nan'::DOUBLE, 1.5) AS number FROM range(50000) t(i)";
        let nan = Job::new(json!({"path": "target.jsonl"})).input("late-step", late);
        let mut faults = writing_faults(place, "jsonl")?;
        faults.push(Fault::new("a number that JSON lacks", ErrorKind::Validation, nan));
        Ok(faults)
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &WRITING
    }
}

#[async_trait]
impl Destination for JsonlTarget {
    async fn read(&self, place: &Place) -> Result<Option<Rows>> {
        let path = place.join("target.jsonl");
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(object_rows(fs::read_to_string(path)?.lines())))
    }

    fn modes(&self) -> Vec<Mode> {
        vec![Mode::Append, Mode::Overwrite]
    }

    fn writes_files(&self) -> bool {
        true
    }
}

struct ParquetTarget;

#[async_trait]
impl Subject for ParquetTarget {
    fn component(&self) -> &'static str {
        "filesystem.parquet_writer"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        osiris_driver_filesystem::register(registry)
    }

    async fn prepare(&self, place: &Place, _: u64) -> Result<Job> {
        remove(&place.join("target.parquet"))?;
        Ok(Job::new(json!({"path": "target.parquet"})))
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        writing_faults(place, "parquet")
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["path"] = json!("target");
        config["partition_by"] = json!(columns);
        Some(config)
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &WRITING
    }
}

#[async_trait]
impl Destination for ParquetTarget {
    async fn read(&self, place: &Place) -> Result<Option<Rows>> {
        let path = place.join("target.parquet");
        if !path.exists() {
            return Ok(None);
        }
        let bench = Bench::at(place, &BenchOptions::new(), |_| Ok(()))?;
        let select = format!("SELECT * FROM read_parquet({})", store::quote_text(&path.display().to_string()));
        let table = bench.table("target", InputTable::Sql(select)).await?;
        Ok(Some(bench.rows(&table).await?))
    }

    fn modes(&self) -> Vec<Mode> {
        vec![Mode::Append, Mode::Overwrite]
    }

    fn writes_files(&self) -> bool {
        true
    }
}

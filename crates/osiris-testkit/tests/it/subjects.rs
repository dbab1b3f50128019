//! What the suites are told about the family `lines`.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::sync::Mutex;

use osiris_core::{Error, ErrorKind, Registry, Result};
use osiris_testkit::{
    Destination, Fault, Incremental, InvalidConfig, Job, Mode, Paging, Place, RateLimit, Rows, Sample, Subject,
    async_trait, fault,
};
use serde_json::{Value, json};

use crate::lines::{Flaw, Lines, LinesCopier, LinesExtractor, LinesWriter, line};

#[derive(Default)]
pub(crate) struct Extractor {
    flaw: Option<Flaw>,
    limit: Mutex<Option<RateLimit>>,
}

impl Extractor {
    pub(crate) fn good() -> Self {
        Self::default()
    }

    pub(crate) fn with(flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..Self::default() }
    }

    /// A job of several pages, of a server with this limit.
    fn limited(&self, place: &Place, limit: &RateLimit) -> Result<Job> {
        *self.limit.lock().unwrap() = Some(limit.clone());
        let sample = Sample::new(4);
        Self::fill(place, sample)?;
        let config = json!({"table": "source", "page_size": 2});
        Ok(Job::new(config).connection(connection(place)).expecting(sample.text()?.with_types(TYPES)))
    }

    fn fill(place: &Place, sample: Sample) -> Result<()> {
        let mut out = BufWriter::new(File::create(place.join("source"))?);
        for (index, batch) in sample.batches().enumerate() {
            let rows = Rows::from_batches(&[batch?])?;
            if index == 0 {
                let names: Vec<_> = rows.columns().iter().cloned().map(Some).collect();
                out.write_all(line(&names).as_bytes())?;
            }
            for row in rows.rows() {
                out.write_all(line(row).as_bytes())?;
            }
        }
        Ok(out.flush()?)
    }
}

const TYPES: [&str; 6] = ["BIGINT", "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR"];

fn connection(place: &Place) -> Value {
    json!({"directory": place.path(), "password": "hunter2"})
}

/// The ways in which a connection fails.
fn connection_faults(place: &Place, config: &Value) -> Result<Vec<Fault>> {
    let fault = |name: &str, kind, field: &str, value: Value| {
        let mut fields = connection(place);
        fields[field] = value;
        Fault::new(name, kind, Job::new(config.clone()).connection(fields)).of_connection()
    };
    let nowhere = json!(place.join("nowhere"));
    Ok(vec![
        fault("no server", ErrorKind::Network, "directory", nowhere).found_by_dry_run(),
        fault("a wrong password", ErrorKind::Auth, "password", json!("wrong")),
        fault("a server that says nothing", ErrorKind::Timeout, "port", json!(fault::stalled_port()?)),
    ])
}

#[async_trait]
impl Subject for Extractor {
    fn component(&self) -> &'static str {
        "lines.extractor"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        let limit = self.limit.lock().unwrap().clone();
        registry.family(Lines::new(self.flaw)).extractor(LinesExtractor::new(self.flaw).limited(limit)).add()
    }

    fn register_with_failing_client(&self, registry: &mut Registry) -> Option<Result<()>> {
        let broken = LinesExtractor::with_client(self.flaw, |_| Err(std::io::Error::other("broken")));
        Some(registry.extractor(broken).add())
    }

    async fn prepare(&self, place: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        Self::fill(place, sample)?;
        let expected = sample.text()?.with_types(TYPES);
        let job = Job::new(json!({"table": "source"})).connection(connection(place)).expecting(expected);
        let needs_input = self.flaw == Some(Flaw::NeedsAnInput);
        Ok(if needs_input { job.input("upstream", Sample::new(1)) } else { job })
    }

    async fn prepare_volume(&self, place: &Place, sample: Sample) -> Result<Option<Job>> {
        Self::fill(place, sample)?;
        Ok(Some(Job::new(json!({"table": "source"})).connection(connection(place))))
    }

    async fn prepare_incremental(&self, place: &Place) -> Result<Option<Incremental>> {
        Self::fill(place, Sample::new(7))?;
        fs::copy(place.join("source"), place.join("other"))?;
        let job = |config: Value| {
            let mut all = json!({"table": "source", "incremental": true});
            all.as_object_mut().into_iter().for_each(|all| all.extend(config.as_object().cloned().unwrap_or_default()));
            Job::new(all).connection(connection(place))
        };
        let flawed = self.flaw == Some(Flaw::ForgetsPartOfItsSource);
        let other = if flawed { json!({"instead": "other"}) } else { json!({"table": "other"}) };
        let incremental = Incremental::new(job(json!({}))).same("another page size", job(json!({"page_size": 2})));
        Ok(Some(incremental.other("another file", job(other))))
    }

    fn invalid_configs(&self) -> Vec<InvalidConfig> {
        let table = if self.flaw == Some(Flaw::ReportsOneProblem) { "only-one/x" } else { "a/b" };
        vec![InvalidConfig::new(json!({"table": table, "query": "DROP"}), ["no path", "only SELECT"])]
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        place.write("broken", "[\"id\"]\n[\"1\"]\nno row\n")?;
        let job = |table: &str| Job::new(json!({"table": table})).connection(connection(place));
        let mut faults = vec![
            Fault::new("a bad line", ErrorKind::Validation, job("broken")),
            Fault::new("no such table", ErrorKind::Validation, job("absent")).found_by_dry_run(),
        ];
        faults.extend(connection_faults(place, &json!({"table": "source"}))?);
        if self.flaw == Some(Flaw::ShowsOneConnectionFault) {
            faults.truncate(3);
        }
        Ok(faults)
    }

    fn modifying_configs(&self) -> Vec<Value> {
        let table = if self.flaw == Some(Flaw::AcceptsAnyStatement) { "any-statement" } else { "source" };
        vec![json!({"table": table, "query": "DELETE"})]
    }

    async fn prepare_throttled(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(place, limit).map(Some)
    }

    async fn prepare_near_limit(&self, place: &Place, limit: &RateLimit) -> Result<Option<Job>> {
        self.limited(place, limit).map(Some)
    }

    fn paging(&self) -> Option<Paging> {
        Some(Paging::by("page_size"))
    }

    fn resources(&self) -> Vec<String> {
        vec!["source".to_owned()]
    }
}

pub(crate) struct Copier {
    flaw: Option<Flaw>,
}

impl Copier {
    pub(crate) fn good() -> Self {
        Self { flaw: None }
    }

    pub(crate) fn with(flaw: Flaw) -> Self {
        Self { flaw: Some(flaw) }
    }
}

#[async_trait]
impl Subject for Copier {
    fn component(&self) -> &'static str {
        "lines.copier"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        registry.processor(LinesCopier::new(self.flaw)).add()
    }

    async fn prepare(&self, _: &Place, rows: u64) -> Result<Job> {
        let sample = Sample::new(rows);
        let expected = sample.text()?.with_types(Sample::TYPES);
        Ok(Job::new(json!({"from": "upstream"})).input("upstream", sample).expecting(expected))
    }

    async fn prepare_volume(&self, _: &Place, sample: Sample) -> Result<Option<Job>> {
        Ok(Some(Job::new(json!({"from": "upstream"})).input("upstream", sample)))
    }

    async fn faults(&self, _: &Place) -> Result<Vec<Fault>> {
        let job = Job::new(json!({"from": "downstream"})).input("upstream", Sample::new(3));
        Ok(vec![Fault::new("no such input", ErrorKind::Validation, job).found_by_dry_run()])
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("DRV-019", "it has no connection"),
            ("DRV-020", "it has no connection"),
            ("DRV-021", "it has no connection"),
            ("DRV-022", "it has no connection"),
            ("DRV-023", "it has no connection"),
            ("DRV-027", "it has no client"),
            ("CRT-007", "it has no connection"),
        ]
    }
}

pub(crate) struct Writer {
    flaw: Option<Flaw>,
}

impl Writer {
    pub(crate) fn good() -> Self {
        Self { flaw: None }
    }

    pub(crate) fn with(flaw: Flaw) -> Self {
        Self { flaw: Some(flaw) }
    }
}

#[async_trait]
impl Subject for Writer {
    fn component(&self) -> &'static str {
        "lines.writer"
    }

    fn register(&self, registry: &mut Registry) -> Result<()> {
        registry.writer(LinesWriter::new(self.flaw)).add()
    }

    async fn prepare(&self, place: &Place, _: u64) -> Result<Job> {
        if place.join("target").exists() {
            fs::remove_file(place.join("target"))?;
        }
        Ok(Job::new(json!({"table": "target"})).connection(connection(place)))
    }

    async fn faults(&self, place: &Place) -> Result<Vec<Fault>> {
        let job = Job::new(json!({"table": "target"})).connection(connection(place));
        let poisoned = "SELECT i AS id, if(i = 9900, 'unwritable', 'x') AS name FROM range(10000) t(i)";
        let mut faults = vec![Fault::new("a bad value", ErrorKind::Validation, job.input("poisoned", poisoned))];
        faults.extend(connection_faults(place, &json!({"table": "target"}))?);
        Ok(faults)
    }

    fn config_with_columns(&self, mut config: Value, columns: &[&str]) -> Option<Value> {
        config["columns"] = json!(columns);
        Some(config)
    }

    fn not_applicable(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("DRV-015", "it is no HTTP"),
            ("DRV-016", "it is no HTTP"),
            ("DRV-019", "the extractor discovers"),
            ("DRV-020", "the extractor discovers"),
            ("DRV-021", "the extractor discovers"),
            ("DRV-022", "the extractor has the doctor"),
            ("DRV-023", "the extractor has the doctor"),
            ("DRV-027", "it has no client"),
        ]
    }
}

#[async_trait]
impl Destination for Writer {
    async fn read(&self, place: &Place) -> Result<Option<Rows>> {
        let Ok(text) = fs::read_to_string(place.join("target")) else { return Ok(None) };
        let broken = |error: serde_json::Error| Error::integrity("half a line").with_source(error);
        let mut lines = text.lines();
        let Some(first) = lines.next() else { return Ok(Some(Rows::default())) };
        let mut rows = Rows::new(serde_json::from_str::<Vec<String>>(first).map_err(broken)?);
        for line in lines {
            rows.push(serde_json::from_str(line).map_err(broken)?);
        }
        Ok(Some(rows))
    }

    fn modes(&self) -> Vec<Mode> {
        match self.flaw {
            Some(Flaw::ListsTooFewModes) => Mode::ALL.to_vec(),
            _ => vec![Mode::Append, Mode::Overwrite],
        }
    }

    fn writes_files(&self) -> bool {
        true
    }
}

//! Events and metrics of a run: one JSON object a line, redacted, in `events.jsonl` and `metrics.jsonl`.
//!
//! The JSON Schemas of both are in `schemas/` of this crate; every line of every test run is checked against them.

pub mod event;
pub mod metric;
mod unit;

use std::fs::File;
use std::io::{LineWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

pub use unit::Unit;

use crate::clock::{Clock, SystemClock};
use crate::{Redactor, Result};

/// The file of the events, in the directory of a run.
pub const EVENTS_FILE: &str = "events.jsonl";

/// The file of the metrics, in the directory of a run.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// The JSON Schema of a line of `events.jsonl`.
pub const EVENTS_SCHEMA: &str = include_str!("../../schemas/events.schema.json");

/// The JSON Schema of a line of `metrics.jsonl`.
pub const METRICS_SCHEMA: &str = include_str!("../../schemas/metrics.schema.json");

/// The fields of events whose values come from a closed list.
const CLOSED_FIELDS: &[&str] = &["artifact_type", "category", "driver", "error_type"];

/// Where the events and metrics of a run go. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    session: String,
    redactor: Mutex<Redactor>,
    events: Mutex<Box<dyn Write + Send>>,
    metrics: Mutex<Box<dyn Write + Send>>,
    clock: Mutex<Arc<dyn Clock>>,
}

impl Telemetry {
    /// Appends to `events.jsonl` and `metrics.jsonl` in `directory`, each line on disk before the next.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn to_directory(directory: &Path, session: impl Into<String>, redactor: Redactor) -> Result<Self> {
        let open = |name: &str| -> Result<Box<dyn Write + Send>> {
            let mut file = crate::private::options().read(true).create(true).append(true).open(directory.join(name))?;
            end_last_line(&mut file)?;
            Ok(Box::new(LineWriter::new(file)))
        };
        Ok(Self::to_writers(open(EVENTS_FILE)?, open(METRICS_FILE)?, session, redactor))
    }

    /// The same into any two writers.
    pub fn to_writers(
        events: Box<dyn Write + Send>,
        metrics: Box<dyn Write + Send>,
        session: impl Into<String>,
        redactor: Redactor,
    ) -> Self {
        Self(Arc::new(Inner {
            session: session.into(),
            redactor: Mutex::new(redactor),
            events: Mutex::new(events),
            metrics: Mutex::new(metrics),
            clock: Mutex::new(Arc::new(SystemClock)),
        }))
    }

    /// Discards everything, for embedders that do not need telemetry.
    pub fn discard() -> Self {
        Self::to_writers(Box::new(std::io::sink()), Box::new(std::io::sink()), "none", Redactor::default())
    }

    /// Whose telemetry it is: the id of the run.
    pub fn session(&self) -> &str {
        &self.0.session
    }

    /// Stamps every further line with the time of this clock.
    pub(crate) fn set_clock(&self, clock: Arc<dyn Clock>) {
        *lock(&self.0.clock) = clock;
    }

    fn now(&self) -> String {
        DateTime::<Utc>::from(lock(&self.0.clock).wall()).to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// Makes more secrets known, before anything that could hold them is logged.
    pub fn add_secrets(&self, redactor: &Redactor) {
        lock(&self.0.redactor).merge(redactor);
    }

    /// The redactor with every secret of the run.
    pub fn redactor(&self) -> Redactor {
        lock(&self.0.redactor).clone()
    }

    /// Writes one event: `name` (see [`event`]) and its fields.
    pub fn log_event(&self, name: &str, fields: Value) {
        let mut line = Map::new();
        line.insert("ts".to_owned(), self.now().into());
        line.insert("session".to_owned(), self.0.session.as_str().into());
        line.insert("event".to_owned(), name.into());
        if let Value::Object(fields) = self.scrubbed(fields) {
            line.extend(fields);
        }
        self.write(&self.0.events, &Value::Object(line));
    }

    /// Writes one metric (see [`metric`]).
    pub fn log_metric(&self, name: &str, value: impl Into<Value>, unit: Unit, tags: Value) {
        self.write(
            &self.0.metrics,
            &json!({
                "ts": self.now(),
                "session": self.0.session,
                "metric": name,
                "value": self.scrubbed(value.into()),
                "unit": unit.as_str(),
                "tags": self.scrubbed(tags),
            }),
        );
    }

    /// Redacts external values. Values from our own closed lists are never redacted, even if a secret is spelt like
    /// one: the line would no longer match its schema.
    fn scrubbed(&self, mut fields: Value) -> Value {
        let ours: Vec<(&str, Value)> = match &mut fields {
            Value::Object(map) => CLOSED_FIELDS.iter().filter_map(|name| Some((*name, map.remove(*name)?))).collect(),
            _ => Vec::new(),
        };
        lock(&self.0.redactor).scrub_json(&mut fields);
        if let Value::Object(map) = &mut fields {
            map.extend(ours.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        fields
    }

    /// A run must not fail because telemetry fails: the failure is logged instead.
    fn write(&self, writer: &Mutex<Box<dyn Write + Send>>, line: &Value) {
        let mut text = line.to_string();
        text.push('\n');
        let mut writer = lock(writer);
        if let Err(error) = writer.write_all(text.as_bytes()).and_then(|()| writer.flush()) {
            tracing::warn!(%error, "telemetry could not be written");
        }
    }
}

/// A process that was killed may have left the beginning of a line: what is appended must not become part of it.
fn end_last_line(file: &mut File) -> std::io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn s40_a_secret_spelt_like_a_word_of_ours_leaves_the_lines_as_their_schemas_want() {
        let (events, metrics) = (Shared::default(), Shared::default());
        let secrets = Redactor::new(["step_failed", "event", "rows", "network", "metric", "ts"]);
        let telemetry = Telemetry::to_writers(Box::new(events.clone()), Box::new(metrics.clone()), "s", secrets);
        let fields = json!({"step_id": "a", "error": "rows", "error_type": "network", "category": "network"});
        telemetry.log_event(event::STEP_FAILED, fields);
        telemetry.log_metric(metric::ROWS_READ, 1, Unit::Rows, json!({"step": "a"}));
        let line = |of: &Shared| serde_json::from_slice::<Value>(&lock(&of.0)).unwrap();
        assert_eq!((&line(&events)["event"], &line(&events)["category"]), (&json!("step_failed"), &json!("network")));
        assert_eq!(line(&events)["error"], "***");
        assert_eq!((&line(&metrics)["unit"], &line(&metrics)["metric"]), (&json!("rows"), &json!("rows_read")));
    }

    #[test]
    fn a_line_is_not_appended_to_the_beginning_of_one_that_a_killed_process_has_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(EVENTS_FILE);
        for (left, kept) in [("", 0), ("{}\n", 1), ("{}\n{\"ts\": \"20", 2)] {
            std::fs::write(&path, left).unwrap();
            let telemetry = Telemetry::to_directory(directory.path(), "s", Redactor::default()).unwrap();
            telemetry.log_event(event::RUN_START, json!({"resumed": true}));
            let text = std::fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), kept + 1, "{text}");
            let line: Value = serde_json::from_str(lines[kept]).unwrap();
            assert_eq!(line["event"], event::RUN_START);
        }
    }

    #[test]
    fn secrets_reach_neither_file() {
        let (events, metrics) = (Shared::default(), Shared::default());
        let telemetry = Telemetry::to_writers(
            Box::new(events.clone()),
            Box::new(metrics.clone()),
            "s",
            Redactor::new(["p@ss/w0rd"]),
        );
        telemetry.add_secrets(&Redactor::new(["later-secret"]));
        telemetry
            .log_event(event::STEP_FAILED, json!({"step_id": "a", "error": "p@ss/w0rd p%40ss%2Fw0rd later-secret"}));
        telemetry.log_metric("x", 1, Unit::Rows, json!({"step": "later-secret"}));
        let text = [lock(&events.0).clone(), lock(&metrics.0).clone()].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("w0rd") && !text.contains("later"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}

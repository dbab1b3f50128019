//! What is told of a run: names, times, counts and codes out of its report and its records. No message of an error, and so no value of
//! a cell and no secret.

use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use osiris::core::telemetry::{EVENTS_FILE, METRICS_FILE, event};
use osiris::pipeline::{RunReport, StepReport};
use serde_json::Value;

/// A run that has ended.
#[derive(Debug)]
pub(super) struct FinishedRun {
    pub(super) run_id: String,
    pub(super) pipeline: String,
    pub(super) outcome: &'static str,
    pub(super) span: Span,
    pub(super) steps: Vec<FinishedStep>,
    pub(super) metrics: Vec<MetricValue>,
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
}

/// A step that was started.
#[derive(Debug)]
pub(super) struct FinishedStep {
    pub(super) id: String,
    pub(super) component: String,
    pub(super) status: String,
    pub(super) rows: u64,
    pub(super) error_code: Option<&'static str>,
    pub(super) span: Span,
    pub(super) attempts: Vec<Attempt>,
}

/// One attempt of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) span: Span,
    /// The class of the error after which it was tried again, or that of the last attempt.
    pub(super) failed: Option<String>,
}

/// One value of a metric.
#[derive(Debug, PartialEq)]
pub(super) struct MetricValue {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) step: Option<String>,
    pub(super) value: f64,
}

impl FinishedRun {
    pub(super) fn of(pipeline: &str, report: &RunReport) -> Self {
        let events = lines(&report.directory.join(EVENTS_FILE));
        // A run that was resumed has its records behind those of the run before.
        let first = events.iter().rposition(|line| line["event"] == event::RUN_START).unwrap_or(0);
        let events = &events[first..];
        let end = SystemTime::now();
        let start = events.first().and_then(time).unwrap_or_else(|| end.checked_sub(report.duration).unwrap_or(end));
        let span = Span { start, end: start + report.duration };
        let started = report.steps.iter().filter(|step| step.attempts > 0);
        let steps = started.map(|step| FinishedStep::of(step, start, events)).collect();
        let metrics = lines(&report.directory.join(METRICS_FILE));
        let of_this_run = metrics.iter().filter(|line| time(line).is_some_and(|time| time >= start));
        Self {
            run_id: report.run_id.clone(),
            pipeline: pipeline.to_owned(),
            outcome: report.outcome.as_str(),
            span,
            steps,
            metrics: of_this_run.filter_map(MetricValue::of).collect(),
        }
    }

    /// The metrics of a step.
    pub(super) fn metrics_of<'a>(&'a self, step: &'a str) -> impl Iterator<Item = &'a MetricValue> {
        self.metrics.iter().filter(move |metric| metric.step.as_deref() == Some(step))
    }
}

impl FinishedStep {
    fn of(step: &StepReport, run_start: SystemTime, events: &[Value]) -> Self {
        let start = run_start + step.offset;
        let span = Span { start, end: start + step.duration };
        let status = serde_json::to_value(step.status).ok().and_then(|status| status.as_str().map(str::to_owned));
        let failed = step.error.as_ref().map(|error| error.kind().category().to_owned());
        let retries =
            events.iter().filter(|line| line["event"] == event::STEP_RETRY_ATTEMPT && line["step_id"] == step.id);
        Self {
            id: step.id.clone(),
            component: step.component.clone(),
            status: status.unwrap_or_default(),
            rows: step.rows,
            error_code: step.error.as_ref().map(|error| error.code().as_str()),
            span,
            attempts: attempts(span, retries, failed),
        }
    }
}

/// The attempts of a step: each retry ends one and begins the next after its wait.
fn attempts<'a>(step: Span, retries: impl Iterator<Item = &'a Value>, failed: Option<String>) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut start = step.start;
    for retry in retries {
        let Some(end) = time(retry) else { continue };
        let category = retry["category"].as_str().map(str::to_owned);
        attempts.push(Attempt { span: Span { start, end }, failed: category });
        start = end + Duration::from_millis(retry["delay_ms"].as_u64().unwrap_or_default());
    }
    attempts.push(Attempt { span: Span { start, end: step.end.max(start) }, failed });
    attempts
}

impl MetricValue {
    fn of(line: &Value) -> Option<Self> {
        Some(Self {
            name: line["metric"].as_str()?.to_owned(),
            unit: line["unit"].as_str().unwrap_or_default().to_owned(),
            step: line["tags"]["step"].as_str().map(str::to_owned),
            value: line["value"].as_f64()?,
        })
    }
}

/// The lines of a record; none where it cannot be read.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn time(line: &Value) -> Option<SystemTime> {
    DateTime::parse_from_rfc3339(line["ts"].as_str()?).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_retry_ends_an_attempt_and_begins_the_next_after_its_wait() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let retry = json!({"ts": "1970-01-01T00:00:12Z", "delay_ms": 3000, "category": "network"});
        let made = attempts(Span { start: at(10), end: at(20) }, std::iter::once(&retry), None);
        let attempt = |start, end, failed: Option<&str>| Attempt {
            span: Span { start: at(start), end: at(end) },
            failed: failed.map(str::to_owned),
        };
        assert_eq!(made, [attempt(10, 12, Some("network")), attempt(15, 20, None)]);
    }

    #[test]
    fn a_metric_is_read_from_its_line() {
        let line = json!({"metric": "rows_read", "value": 8, "unit": "rows", "tags": {"step": "orders"}});
        let metric = MetricValue::of(&line).unwrap();
        assert_eq!((metric.name.as_str(), metric.step.as_deref(), metric.value), ("rows_read", Some("orders"), 8.0));
        assert_eq!(MetricValue::of(&json!({"metric": "x"})), None);
    }
}

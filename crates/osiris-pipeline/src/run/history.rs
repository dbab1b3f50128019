//! What the telemetry of a past run says of its steps: their attempts, the bytes that they moved, what was worth a
//! warning. Counts and errors are in the ledger.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use chrono::{DateTime, Utc};
use osiris_core::Result;
use osiris_core::telemetry::{EVENTS_FILE, METRICS_FILE, event, metric};
use serde_json::Value;

use super::past::PastRun;
use crate::file::file_error;

/// What happened since a run was started, or resumed, the last time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunHistory {
    /// Whether it was resumed: times are those since then.
    pub resumed: bool,
    /// Milliseconds from its start to its last event.
    pub length_ms: u64,
    /// Its steps, in the order in which they began; those with metrics alone last.
    pub steps: Vec<StepHistory>,
    /// What the steps reported and did not fail for: failed assertions, failed attempts.
    pub warnings: Vec<String>,
}

/// What happened to one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepHistory {
    /// The step.
    pub id: String,
    /// Its component, if it began.
    pub component: Option<String>,
    /// Whether it was done before the run was resumed, or confirmed to be.
    pub reused: bool,
    /// Its attempts, in order.
    pub attempts: Vec<StepAttempt>,
    /// Bytes that came from the source, where they were counted.
    pub bytes_read: Option<u64>,
    /// Bytes that went to the destination, where they were counted.
    pub bytes_written: Option<u64>,
}

/// One attempt of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepAttempt {
    /// Milliseconds from the start of the run to its own.
    pub offset_ms: u64,
    /// Milliseconds it took; to the last event of the run, if its end is not recorded.
    pub duration_ms: u64,
    /// How it ended.
    pub end: AttemptEnd,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// It succeeded.
    Done,
    /// It failed, or was stopped.
    Failed,
    /// Nothing is recorded: it is going on, or the process was killed.
    Open,
}

impl PastRun {
    /// Reads its events and metrics; nothing is known where they are missing.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn history(&self) -> Result<RunHistory> {
        let mut reader = Reader::default();
        each_line(&self.directory().join(EVENTS_FILE), |line| reader.add_event(line))?;
        let mut history = reader.end();
        each_line(&self.directory().join(METRICS_FILE), |line| history.add_metric(line))?;
        Ok(history)
    }
}

/// Hands over the objects of a file of lines.
fn each_line(path: &Path, mut take: impl FnMut(&Value)) -> Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file_error(error, path)),
    };
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| file_error(error, path))?;
        // One without its end is being written, or was when the process was killed.
        if let Ok(value) = serde_json::from_slice::<Value>(&line) {
            take(&value);
        }
    }
    Ok(())
}

/// A history that is being read.
#[derive(Default)]
struct Reader {
    history: RunHistory,
    start: Option<DateTime<Utc>>,
    /// That before the run was resumed, and its start.
    before: Option<(RunHistory, DateTime<Utc>)>,
}

impl Reader {
    fn add_event(&mut self, line: &Value) {
        let (Some(time), Some(name)) = (time(line), line["event"].as_str()) else { return };
        match name {
            event::RUN_START => {
                let resumed = RunHistory { resumed: line["resumed"] == true, ..RunHistory::default() };
                let before = std::mem::replace(&mut self.history, resumed);
                self.before = self.start.replace(time).map(|start| (before, start));
            }
            // A run that ends has an exit code. This one was not resumed: it is what it was.
            event::RUN_FAILED if line["exit_code"].is_null() => {
                if let Some((history, start)) = self.before.take() {
                    (self.history, self.start) = (history, Some(start));
                    return;
                }
            }
            _ => {}
        }
        let start = *self.start.get_or_insert(time);
        self.history.add_event(name, u64::try_from((time - start).num_milliseconds()).unwrap_or_default(), line);
    }

    fn end(mut self) -> RunHistory {
        self.history.end();
        self.history
    }
}

impl RunHistory {
    /// Adds an event so many milliseconds after the start.
    fn add_event(&mut self, name: &str, at: u64, line: &Value) {
        self.length_ms = self.length_ms.max(at);
        let Some(id) = line["step_id"].as_str() else { return };
        match name {
            event::STEP_START => {
                let step = self.step(id);
                step.component = line["driver"].as_str().map(str::to_owned);
                // The end of the one before is not recorded.
                step.end_attempt(at, AttemptEnd::Failed);
                step.begin_attempt(at);
            }
            event::STEP_REUSED | event::STEP_CONFIRMED => self.step(id).reused = true,
            event::STEP_RETRY_ATTEMPT => {
                let why = line["error"].as_str().and_then(|error| error.lines().next()).unwrap_or_default();
                self.warnings.push(format!("step `{id}`: an attempt failed and was repeated: {why}"));
                let (step, delay) = (self.step(id), line["delay_ms"].as_u64().unwrap_or_default());
                // One that gets its rows directly has ended by then, and begins anew.
                if step.end_attempt(at, AttemptEnd::Failed) {
                    step.begin_attempt(at.saturating_add(delay));
                }
            }
            event::STEP_COMPLETE => {
                self.step(id).end_attempt(at, AttemptEnd::Done);
            }
            event::STEP_FAILED => {
                self.step(id).end_attempt(at, AttemptEnd::Failed);
            }
            event::ASSERTION_FAILED if line["severity"] == "warn" => {
                let (assertion, rows) = (line["assertion"].as_str().unwrap_or_default(), &line["rows"]);
                self.warnings.push(format!("step `{id}`: assertion `{assertion}` failed, rows: {rows}"));
            }
            _ => {}
        }
    }

    fn add_metric(&mut self, line: &Value) {
        let (Some(name), Some(value)) = (line["metric"].as_str(), line["value"].as_u64()) else { return };
        let Some(id) = line["tags"]["step"].as_str() else { return };
        // Those of the last attempt count.
        match name {
            metric::BYTES_READ => self.step(id).bytes_read = Some(value),
            metric::BYTES_WRITTEN => self.step(id).bytes_written = Some(value),
            _ => {}
        }
    }

    /// What is still open lasts to the last event.
    fn end(&mut self) {
        let end = self.length_ms;
        let last = self.steps.iter_mut().filter_map(|step| step.attempts.last_mut());
        for attempt in last.filter(|attempt| attempt.end == AttemptEnd::Open) {
            attempt.duration_ms = end.saturating_sub(attempt.offset_ms);
        }
    }

    fn step(&mut self, id: &str) -> &mut StepHistory {
        let known = self.steps.iter().position(|step| step.id == id);
        let index = known.unwrap_or(self.steps.len());
        if known.is_none() {
            self.steps.push(StepHistory { id: id.to_owned(), ..StepHistory::default() });
        }
        &mut self.steps[index]
    }
}

impl StepHistory {
    fn begin_attempt(&mut self, at: u64) {
        self.attempts.push(StepAttempt { offset_ms: at, duration_ms: 0, end: AttemptEnd::Open });
    }

    /// Ends the attempt that is open; whether one was. One that was still waited for never began.
    fn end_attempt(&mut self, at: u64, end: AttemptEnd) -> bool {
        let Some(last) = self.attempts.last_mut().filter(|attempt| attempt.end == AttemptEnd::Open) else {
            return false;
        };
        let Some(duration) = at.checked_sub(last.offset_ms) else {
            self.attempts.pop();
            return false;
        };
        (last.duration_ms, last.end) = (duration, end);
        true
    }
}

fn time(line: &Value) -> Option<DateTime<Utc>> {
    line["ts"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn history(events: &[(u32, &str, Value)]) -> RunHistory {
        let mut reader = Reader::default();
        for (millis, name, fields) in events {
            let mut line =
                json!({"ts": format!("2024-01-01T00:00:{:02}.{:03}000Z", millis / 1000, millis % 1000), "event": name});
            for (name, value) in fields.as_object().unwrap() {
                line[name] = value.clone();
            }
            reader.add_event(&line);
        }
        reader.end()
    }

    fn attempts(history: &RunHistory) -> Vec<(u64, u64, AttemptEnd)> {
        let attempts = history.steps.iter().flat_map(|step| &step.attempts);
        attempts.map(|attempt| (attempt.offset_ms, attempt.duration_ms, attempt.end)).collect()
    }

    fn step() -> Value {
        json!({"step_id": "a", "driver": "x.y"})
    }

    fn retry(delay: u32) -> Value {
        json!({"step_id": "a", "delay_ms": delay, "error": "the server is away\n  host: h"})
    }

    #[test]
    fn every_attempt_has_its_time_and_a_warning_says_why_it_was_repeated() {
        let found = history(&[
            (0, "run_start", json!({})),
            (100, "step_start", step()),
            (300, "step_retry_attempt", retry(500)),
            (1000, "step_complete", step()),
        ]);
        assert_eq!(attempts(&found), [(100, 200, AttemptEnd::Failed), (800, 200, AttemptEnd::Done)]);
        assert_eq!(found.warnings, ["step `a`: an attempt failed and was repeated: the server is away"]);
        assert_eq!(found.steps[0].component.as_deref(), Some("x.y"));
    }

    #[test]
    fn an_attempt_that_was_only_waited_for_is_none() {
        let found = history(&[
            (0, "run_start", json!({})),
            (100, "step_start", step()),
            (300, "step_retry_attempt", retry(500)),
            (400, "step_failed", step()),
        ]);
        assert_eq!(attempts(&found), [(100, 200, AttemptEnd::Failed)]);
    }

    #[test]
    fn what_was_killed_lasts_to_the_last_event() {
        let begun = [(0, "run_start", json!({})), (100, "step_start", step())];
        let found = history(&[&begun[..], &[(700, "commit_begin", step())]].concat());
        assert_eq!(attempts(&found), [(100, 600, AttemptEnd::Open)]);
    }

    #[test]
    fn a_resumed_run_is_measured_from_where_it_went_on() {
        let found = history(&[
            (0, "run_start", json!({})),
            (100, "step_start", step()),
            (200, "step_failed", step()),
            (30_000, "run_start", json!({"resumed": true})),
            (30_050, "step_reused", json!({"step_id": "b", "rows": 1})),
            (30_100, "step_start", step()),
            (30_200, "step_complete", step()),
        ]);
        assert_eq!(attempts(&found), [(100, 100, AttemptEnd::Done)]);
        let reused = found.steps.iter().map(|step| (step.id.as_str(), step.reused));
        assert_eq!(reused.collect::<Vec<_>>(), [("b", true), ("a", false)]);
        assert_eq!((found.resumed, found.length_ms), (true, 200));
    }

    #[test]
    fn a_resume_that_was_refused_never_was() {
        let ended = [
            (0, "run_start", json!({})),
            (100, "step_start", step()),
            (200, "step_failed", step()),
            (300, "run_failed", json!({"exit_code": 1})),
        ];
        let refused = [(30_000, "run_start", json!({"resumed": true})), (30_100, "run_failed", json!({}))];
        assert_eq!(history(&[&ended[..], &refused, &refused].concat()), history(&ended));
        let resumed = [
            (30_000, "run_start", json!({"resumed": true})),
            (30_100, "step_start", step()),
            (30_200, "step_failed", step()),
            (30_300, "run_failed", json!({"exit_code": 1})),
        ];
        assert!(history(&[&ended[..], &resumed].concat()).resumed);
    }

    #[test]
    fn the_bytes_of_the_last_attempt_count() {
        let mut found = RunHistory::default();
        for value in [5, 7] {
            found.add_metric(&json!({"metric": "bytes_read", "value": value, "tags": {"step": "a"}}));
        }
        assert_eq!((found.steps[0].bytes_read, found.steps[0].bytes_written), (Some(7), None));
    }
}

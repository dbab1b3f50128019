//! The progress of a step as a JSON object on one line, for programs.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use osiris::core::Phase;
use serde_json::{Value, json};

use super::printer::EndedStep;
use super::sample::Sample;
use crate::console::json_line;

/// Changes when a field changes its meaning or goes.
const VERSION: u64 = 1;

/// A step that runs.
pub(super) fn running(run_id: &str, step: &str, sample: &Sample) -> String {
    json_line(&object(run_id, step, "progress", None, sample))
}

/// A step that has ended, was reused or was never started.
pub(super) fn ended(run_id: &str, ended: &EndedStep, sample: &Sample) -> String {
    // The report of a step that is not done has no rows: those that it has moved count.
    let rows = if ended.status.is_done() { ended.rows } else { sample.rows };
    let (elapsed, in_phase) = (ended.duration, ended.duration);
    let sample = Sample { rows, phase: None, elapsed, in_phase, ..sample.clone() };
    json_line(&object(run_id, &ended.step, "end", Some(json!(ended.status)), &sample))
}

fn object(run_id: &str, step: &str, event: &str, status: Option<Value>, sample: &Sample) -> Value {
    let is_running = status.is_none();
    json!({
        "version": VERSION,
        "time": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
        "run_id": run_id,
        "step": step,
        "event": event,
        "status": status,
        "phase": sample.phase.map(Phase::as_str),
        "rows": sample.rows,
        "expected_rows": sample.total_rows,
        "is_estimate": sample.is_estimate,
        "bytes": sample.bytes,
        "expected_bytes": sample.total_bytes,
        "rows_per_second": sample.rate(),
        "elapsed_ms": millis(sample.elapsed),
        "left_ms": sample.left().filter(|_| is_running).map(millis),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use osiris::core::Progress;
    use osiris::pipeline::StepStatus;

    use super::*;

    #[test]
    fn a_running_step_is_one_line_with_what_is_known_of_it() {
        let progress = Progress::default();
        progress.enter(Phase::Loading);
        progress.add_rows(250);
        progress.estimate_rows(1_000);
        let line = running("r1", "read", &Sample::of(&progress, Duration::from_secs(3), Duration::from_secs(2)));
        assert!(!line.contains('\n'), "{line}");
        let mut object: Value = serde_json::from_str(&line).unwrap();
        assert!(object["time"].take().as_str().unwrap().ends_with('Z'));
        assert_eq!(
            object,
            json!({
                "version": 1, "time": null, "run_id": "r1", "step": "read", "event": "progress", "status": null,
                "phase": "loading", "rows": 250, "expected_rows": 1000, "is_estimate": true, "bytes": 0,
                "expected_bytes": null, "rows_per_second": 125, "elapsed_ms": 3000, "left_ms": 6000,
            })
        );
    }

    #[test]
    fn the_end_of_a_step_that_failed_has_the_rows_that_it_had_moved() {
        let progress = Progress::default();
        progress.add_rows(250);
        let sample = Sample::of(&progress, Duration::from_secs(3), Duration::from_secs(2));
        let rows = |status, rows| {
            let end = EndedStep { step: "read".to_owned(), status, rows, duration: Duration::from_secs(3) };
            let object: Value = serde_json::from_str(&ended("r1", &end, &sample)).unwrap();
            object["rows"].as_u64()
        };
        assert_eq!((rows(StepStatus::Failed, 0), rows(StepStatus::Done, 200)), (Some(250), Some(200)));
    }
}

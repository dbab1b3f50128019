//! Checks lines of telemetry against the published JSON Schemas of `osiris-core`.

use std::sync::LazyLock;

use jsonschema::Validator;
use osiris_core::telemetry::{EVENTS_SCHEMA, METRICS_SCHEMA};
use serde_json::Value;

static EVENTS: LazyLock<Validator> = LazyLock::new(|| compile(EVENTS_SCHEMA));
static METRICS: LazyLock<Validator> = LazyLock::new(|| compile(METRICS_SCHEMA));

#[expect(clippy::expect_used, reason = "the schemas are constants of osiris-core; a test below compiles both")]
fn compile(schema: &str) -> Validator {
    let schema: Value = serde_json::from_str(schema).expect("a published schema is JSON");
    jsonschema::validator_for(&schema).expect("a published schema is valid")
}

/// What the schema of `events.jsonl` says against these lines, one message each; empty when they all fit.
pub fn event_violations(lines: &[Value]) -> Vec<String> {
    violations(&EVENTS, lines)
}

/// The same for `metrics.jsonl`.
pub fn metric_violations(lines: &[Value]) -> Vec<String> {
    violations(&METRICS, lines)
}

fn violations(schema: &Validator, lines: &[Value]) -> Vec<String> {
    lines
        .iter()
        .flat_map(|line| {
            schema.iter_errors(line).map(move |error| format!("{} at `{}` in {line}", error, error.instance_path()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metric(unit: &str) -> Value {
        let ts = "2024-01-01T00:00:00.000000Z";
        json!({"ts": ts, "session": "s", "metric": "rows_read", "value": 1, "unit": unit, "tags": {"step": "a"}})
    }

    #[test]
    fn lines_that_fit_pass_and_others_are_named() {
        assert_eq!(metric_violations(&[metric("rows")]), Vec::<String>::new());
        assert!(!metric_violations(&[metric("bytes")]).is_empty());
        assert!(!metric_violations(&[json!("no line")]).is_empty());
        let event = json!({"ts": "2024-01-01T00:00:00.000000Z", "session": "s", "event": "step_start"});
        let violations = event_violations(&[event]);
        assert!(violations.iter().any(|violation| violation.contains("step_id")), "{violations:?}");
    }
}

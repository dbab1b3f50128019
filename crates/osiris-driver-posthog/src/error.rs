//! What PostHog's error responses mean. The one place that knows its codes: <https://posthog.com/docs/api>, and for the
//! limits of a query <https://posthog.com/docs/api/queries>.

use osiris_core::{Error, ErrorKind};
use osiris_http::pages::ran_out_of_time;
use osiris_http::{Explained, Failure};
use serde_json::Value;

/// The error of a response; `None` where the status says enough (429, 5xx).
///
/// A query that takes too long or too much memory is a timeout that is not retried as it is: the caller makes it
/// smaller, see [`is_too_large`].
pub(crate) fn explain(failure: &Failure<'_>, project: &str, region: &str) -> Option<Explained> {
    let body = failure.json().unwrap_or(Value::Null);
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let (code, detail) = (text("code"), text("detail"));
    let error = match failure.status() {
        401 => failure.error_of(ErrorKind::Auth, "PostHog rejected the API key").with_hint(format!(
            "check `api_key`: a personal API key (`phx_...`) that has not been deleted, of the region `{region}` (the keys of \
             `us`, `eu` and of a self-hosted PostHog are different ones)"
        )),
        402 => failure
            .error_of(ErrorKind::Permission, "PostHog rejected the query: the organization exceeded its read quota")
            .with_hint("raise the limit in PostHog's billing settings, or wait for the next period"),
        403 => failure
            .error_of(ErrorKind::Permission, format!("the API key has no access to project {project}"))
            .with_connection_failed()
            .with_hint("grant the key the scope `query:read` and access to the project and its organization"),
        404 => failure.error_of(ErrorKind::Validation, format!("project {project} not found")).with_hint(format!(
            "check `project_id` (the number that the project's settings page shows) and `region`, which is `{region}`"
        )),
        413 => failure
            .error_of(ErrorKind::Timeout, "PostHog rejected the query as too large")
            .with_hint("read less: fewer `event_types` or a smaller `page_size`")
            .with_retryable(false),
        400 | 504 | 512 | 513 if is_limit(failure.status(), code, detail) => failure
            .error_of(ErrorKind::Timeout, "PostHog stopped the query: it took too long or too much memory")
            .with_hint("read less: set a later `initial_since`, fewer `event_types` or a smaller `page_size`")
            .with_retryable(false),
        400 => failure
            .error_of(ErrorKind::Validation, "PostHog rejected the query")
            .with_hint("this PostHog may be too old for the table or a field; otherwise report a bug"),
        _ => return None,
    };
    Some(error.into())
}

/// ClickHouse's limits as PostHog reports them. A 504 without one of these comes from a proxy.
fn is_limit(status: u16, code: &str, detail: &str) -> bool {
    const CODES: [&str; 3] = ["too_many_bytes", "clickhouse_memory_limit_exceeded", "query_timeout"];
    const WORDS: [&str; 2] = ["max execution time", "max memory"];
    // "Estimated query execution time (15.2 seconds) is too long": what is in brackets differs.
    let lower = detail.to_lowercase();
    let estimated = lower.split_once("execution time").is_some_and(|(_, rest)| rest.contains("is too long"));
    matches!(status, 512 | 513) || CODES.contains(&code) || estimated || WORDS.iter().any(|words| lower.contains(words))
}

/// Whether a smaller query may succeed.
pub(crate) fn is_too_large(error: &Error) -> bool {
    ran_out_of_time(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wording_of_a_limit_is_one_and_other_mistakes_are_none() {
        for (status, code, detail) in [
            (400, "", "Estimated query execution time (15.2 seconds) is too long. Try reducing its scope."),
            (400, "", "Estimated query execution time is too long"),
            (400, "", "Query has hit the max execution time before completing."),
            (400, "", "Query exceeds the Max Memory limit"),
            (400, "too_many_bytes", ""),
            (504, "query_timeout", ""),
            (512, "", "Estimated query execution time (15.2 seconds) is too long."),
            (513, "", ""),
        ] {
            assert!(is_limit(status, code, detail), "{status} {code} {detail}");
        }
        for (status, code, detail) in [
            (400, "", "Unable to resolve field: nope"),
            (400, "", "The name `execution time` is not a field"),
            (400, "", "the property `time` is too long"),
            (504, "", ""),
        ] {
            assert!(!is_limit(status, code, detail), "{status} {code} {detail}");
        }
    }
}

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
    const WORDS: [&str; 3] = ["max execution time", "execution time is too long", "max memory"];
    matches!(status, 512 | 513) || CODES.contains(&code) || WORDS.iter().any(|words| detail.contains(words))
}

/// Whether a smaller query may succeed.
pub(crate) fn is_too_large(error: &Error) -> bool {
    ran_out_of_time(error)
}

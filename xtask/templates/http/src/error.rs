//! What the API's error responses mean. The one place that knows its codes: link its page on errors here.

use osiris_core::{Error, ErrorKind};
use osiris_http::pages::ran_out_of_time;
use osiris_http::{Explained, Failure};
use serde_json::Value;

/// The context that marks errors which a smaller page avoids.
const LIMIT: &str = "limit";

/// The error of a response; `None` where the status says enough (429, 5xx). The body is
/// `{"error": {"code": "...", "message": "..."}}`.
pub(crate) fn explain(failure: &Failure<'_>) -> Option<Explained> {
    let body = failure.json().unwrap_or(Value::Null);
    let error = match (failure.status(), body["error"]["code"].as_str().unwrap_or_default()) {
        (401, _) => {
            failure.error_of(ErrorKind::Auth, "the API key was rejected").with_hint("check `api_key` of the connection")
        }
        (403, _) => failure
            .error_of(ErrorKind::Permission, "the API key has no access to the resource")
            .with_hint("grant the key read access"),
        (404, _) => failure
            .error_of(ErrorKind::Validation, "unknown resource")
            .with_hint("`osiris discover` lists the resources; check `url` of the connection"),
        (_, "page_too_large") => failure
            .error_of(ErrorKind::Validation, "the page is too large for the server")
            .with_hint("set a smaller `page_size`")
            .with_context(LIMIT, "page"),
        _ => return None,
    };
    Some(error.into())
}

/// Whether a smaller page may succeed.
pub(crate) fn is_too_large(error: &Error) -> bool {
    ran_out_of_time(error) || error.context().iter().any(|(key, _)| *key == LIMIT)
}

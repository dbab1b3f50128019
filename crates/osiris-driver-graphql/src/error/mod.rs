//! Errors of the server: from the `errors` of a response (GraphQL specification, section 7.1.2) to an error kind.

mod limit;
mod meaning;

use std::collections::BTreeSet;
use std::time::Duration;

use osiris_core::{Code, Error, ErrorKind, shorten};
use osiris_http::pages::ran_out_of_time;
use osiris_http::{Explained, Failure};
use serde_json::Value;

use meaning::{Items, Judged, Meaning, Surroundings, judge};

/// The context that marks errors which a smaller page may avoid.
const LIMIT: &str = "limit";

/// What follows the number in that context, where the limit is one of rows.
const ROWS: &str = " rows at once";

/// How much of a server's message is shown.
const MAX_MESSAGE: usize = 300;

/// The errors of a response.
#[derive(Debug, Clone)]
pub(crate) struct GraphqlErrors {
    first: String,
    meaning: Meaning,
    count: usize,
    is_partial: bool,
    /// The items that they concern, by number from 0.
    items: BTreeSet<u64>,
    /// Whether one of them may concern any item.
    any_item: bool,
}

impl GraphqlErrors {
    /// Those of a successful response of which no rows are expected; `None` when it has none. A response without `data` means that
    /// the query was rejected before it ran.
    pub(crate) fn of(answer: &Value) -> Option<Self> {
        Self::judged(answer, &Surroundings::of(answer, 200))
    }

    /// Those of a response with rows, which `names` lead to.
    pub(crate) fn around_rows(answer: &Value, names: &[String]) -> Option<Self> {
        Self::judged(answer, &Surroundings::around_rows(answer, names))
    }

    fn judged(answer: &Value, around: &Surroundings<'_>) -> Option<Self> {
        let errors = match answer.get("errors")? {
            Value::Array(errors) => errors.as_slice(),
            Value::Null => return None,
            other => std::slice::from_ref(other),
        };
        let judged: Vec<Judged> = errors.iter().map(|error| judge(error, around)).collect();
        // What cost the rows comes first; of that an error about the rate or the size of the query is the cause of the others.
        let rank = |one: &Judged| (one.is_partial, matches!(one.meaning, Meaning::Kind(_)));
        let at = (0..judged.len()).min_by_key(|index| rank(&judged[*index]))?;
        Some(Self {
            first: shown(errors.get(at)?),
            meaning: judged.get(at)?.meaning,
            count: errors.len(),
            is_partial: judged.iter().all(|one| one.is_partial),
            items: judged
                .iter()
                .filter_map(|one| if let Items::One(item) = one.concerns { Some(item) } else { None })
                .collect(),
            any_item: judged.iter().any(|one| one.concerns == Items::Any),
        })
    }

    /// Whether one of them may be why the item with this number is null; `None` for an item whose number is not known.
    pub(crate) fn explain_null(&self, item: Option<u64>) -> bool {
        self.any_item || item.map_or(!self.items.is_empty(), |item| self.items.contains(&item))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The first of them, on one line.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// Whether the request must be sent again later.
    pub(crate) fn is_throttling(&self) -> bool {
        self.meaning == Meaning::Throttled
    }

    /// Whether the rows of the response can be used: none of the errors concerns all of them.
    pub(crate) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// As an [`Error`]. `wait` is the time until the server accepts the request, if that is known.
    pub(crate) fn error(&self, wait: Option<Duration>) -> Error {
        let kind = match self.meaning {
            Meaning::Kind(kind) => kind,
            Meaning::Throttled => ErrorKind::Network,
            Meaning::TooMuch | Meaning::TooManyRows(_) => ErrorKind::Validation,
        };
        let more = match self.count {
            0 | 1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let error = Error::new(kind, format!("the server says: {}{more}", self.first)).with_hint(self.hint(kind));
        let error = error.with_code(matches!(self.meaning, Meaning::Throttled).then_some(Code::RateLimited));
        match (self.meaning, wait) {
            (Meaning::TooMuch, _) => error.with_context(LIMIT, "complexity"),
            (Meaning::TooManyRows(rows), _) => error.with_context(LIMIT, format!("{rows}{ROWS}")),
            (Meaning::Throttled, Some(wait)) => error.with_retry_after(wait),
            _ => error,
        }
    }

    fn hint(&self, kind: ErrorKind) -> String {
        let hint = match (self.meaning, kind) {
            (Meaning::TooManyRows(rows), _) => {
                return format!(
                    "request at most {rows} rows at once: in the query, in its `variables`, or with \
                     `pagination.page_size_variable`, which adapts to it"
                );
            }
            (Meaning::Throttled, _) => "rate limit exceeded: lower the number of parallel steps, or try later",
            (Meaning::TooMuch, _) => {
                "set a smaller `pagination.page_size`; with `page_size_variable` it shrinks automatically"
            }
            (_, ErrorKind::Auth) => "check `auth_type`, `auth_token` and `headers` of the connection",
            (_, ErrorKind::Permission) => "the credentials lack a permission: grant it, or select less",
            (_, ErrorKind::Network) => "the server failed: try later",
            (_, ErrorKind::Timeout) => "request fewer rows at once, or raise `timeout` of the connection",
            (_, ErrorKind::Validation) => "fix the query or its `variables`",
            _ if self.is_partial => {
                "the query ran and failed: select less, or set `partial_errors: warn` to keep the rows that were returned"
            }
            _ => "the query ran and failed: check its `variables`, select less, or try later",
        };
        hint.to_owned()
    }
}

/// Whether a smaller page may succeed.
pub(crate) fn is_too_large(error: &Error) -> bool {
    ran_out_of_time(error) || error.context().iter().any(|(key, _)| *key == LIMIT)
}

/// The number of rows that the server allows at once, where an error states it.
pub(crate) fn largest_page(error: &Error) -> Option<u64> {
    let (_, limit) = error.context().iter().find(|(key, _)| *key == LIMIT)?;
    limit.strip_suffix(ROWS)?.parse().ok()
}

/// Explains a response with a status other than success. `shrinks` is whether the page could be smaller: then a timeout
/// of the server is not retried at the same size.
pub(crate) fn explain(failure: &Failure<'_>, shrinks: bool) -> Option<Explained> {
    let answer = failure.json();
    let errors =
        answer.as_ref().and_then(|answer| GraphqlErrors::judged(answer, &Surroundings::of(answer, failure.status())));
    let by_status = failure.error();
    if errors.is_none() && failure.status() == 413 && shrinks {
        return Some(by_status.with_context(LIMIT, "size").into());
    }
    let Some(errors) = errors else {
        let give_up = shrinks && by_status.kind() == ErrorKind::Timeout;
        return give_up.then(|| by_status.with_retryable(false).into());
    };
    // The status says more about the kind than an unknown code.
    let open = matches!(errors.meaning, Meaning::Kind(ErrorKind::Validation | ErrorKind::Unknown));
    if open && by_status.kind() != ErrorKind::Validation {
        return Some(by_status.into());
    }
    let error = errors.error(failure.retry_after()).with_context("status", failure.status());
    let give_up = shrinks && error.kind() == ErrorKind::Timeout;
    Some(if give_up { error.with_retryable(false) } else { error }.into())
}

/// An error on one line: message, then the position in the query, then the path in the response.
fn shown(error: &Value) -> String {
    let message = error["message"].as_str().or_else(|| error.as_str()).unwrap_or("an error without a message");
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = shorten(&line, MAX_MESSAGE).into_owned();
    let mut locations = Vec::new();
    let location = &error["locations"][0];
    if let (Some(line), Some(column)) = (location["line"].as_u64(), location["column"].as_u64()) {
        locations.push(format!("line {line}, column {column}"));
    }
    if let Some(path) = error["path"].as_array() {
        let steps: Vec<String> =
            path.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned)).collect();
        locations.push(format!("at {}", steps.join(".")));
    }
    if !locations.is_empty() {
        text.push_str(&format!(" ({})", locations.join("; ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(errors: Value) -> GraphqlErrors {
        GraphqlErrors::of(&errors).unwrap()
    }

    #[test]
    fn codes_of_the_known_servers_have_their_kinds() {
        for (code, kind, less) in [
            ("UNAUTHENTICATED", ErrorKind::Auth, false),
            ("FORBIDDEN", ErrorKind::Permission, false),
            ("THROTTLED", ErrorKind::Network, false),
            ("INTERNAL_SERVER_ERROR", ErrorKind::Network, false),
            ("MAX_COST_EXCEEDED", ErrorKind::Validation, true),
            ("GRAPHQL_VALIDATION_FAILED", ErrorKind::Validation, false),
            ("TIMEOUT", ErrorKind::Timeout, true),
            ("SOMETHING_ELSE", ErrorKind::Unknown, false),
        ] {
            let error =
                of(json!({"data": null, "errors": [{"message": "m", "extensions": {"code": code}}]})).error(None);
            assert_eq!((error.kind(), is_too_large(&error)), (kind, less), "{code}");
            assert!(error.hint().is_some());
        }
        let error = of(json!({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}));
        assert!(error.is_throttling());
    }

    #[test]
    fn without_a_code_the_message_and_whether_it_ran_decide() {
        let said = |message: &str| of(json!({"errors": [{"message": message}]})).error(None);
        assert!(is_too_large(&said("Query is too complex.")));
        assert_eq!(said("Unknown field").kind(), ErrorKind::Validation);
        assert_eq!(said("Query timed out").kind(), ErrorKind::Timeout);
        assert_eq!(
            of(json!({"data": {"a": null}, "errors": [{"message": "boom"}]})).error(None).kind(),
            ErrorKind::Unknown
        );
    }

    #[test]
    fn an_error_is_shown_with_its_places_and_the_number_of_others() {
        let errors = json!({"data": null, "errors": [
            {"message": "no\n  such user", "locations": [{"line": 2, "column": 5}], "path": ["users", 3, "name"]},
            {"message": "x"},
        ]});
        assert_eq!(
            of(errors).error(None).message(),
            "the server says: no such user (line 2, column 5; at users.3.name) (and 1 more)"
        );
        assert!(GraphqlErrors::of(&json!({"data": {}, "errors": []})).is_none());
        assert!(GraphqlErrors::of(&json!({"data": {}, "errors": null})).is_none());
    }
}

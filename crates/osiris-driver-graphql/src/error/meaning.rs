//! What an error of a server means for behaviour: data and path decide first, then the code, and words only where there is nothing
//! else.
//!
//! The specification leaves `extensions.code` to the servers. The codes known here are those of Apollo Server
//! (<https://www.apollographql.com/docs/apollo-server/data/errors>), Shopify
//! (<https://shopify.dev/docs/api/usage/response-codes>), GitHub, which says `type` instead
//! (<https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api>), Hasura, and Hot Chocolate.

use osiris_core::ErrorKind;
use serde_json::Value;

use super::limit::largest_page;

/// What an error of a server means for behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Kind(ErrorKind),
    /// The rate limit is exceeded.
    Throttled,
    /// The query requests more than the server allows at once.
    TooMuch,
    /// A page has no more rows than this.
    TooManyRows(u64),
}

impl Meaning {
    /// What it means where the rows came all the same: sending the request again would give the same.
    fn beside_rows(self) -> Self {
        match self {
            Self::Kind(kind) if !kind.is_retried_by_default() => self,
            _ => Self::Kind(ErrorKind::Unknown),
        }
    }
}

/// The response that an error came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// Whether it has a member `data`, whatever is in it: then the query ran.
    ran: bool,
    has_data: bool,
    /// The names that lead from `data` to the rows, if there is something.
    rows_at: Option<&'a [String]>,
    /// Whether the query was rejected with the status 400.
    is_rejected: bool,
}

impl<'a> Surroundings<'a> {
    /// Those in a response of which no rows are expected, or with a status other than success.
    pub(super) fn of(answer: &Value, status: u16) -> Self {
        let data = answer.get("data");
        let has_data = data.is_some_and(|data| !data.is_null());
        Self { ran: data.is_some(), has_data, rows_at: None, is_rejected: status == 400 && !has_data }
    }

    /// Those in a successful response, whose rows are where `names` lead.
    pub(super) fn around_rows(answer: &Value, names: &'a [String]) -> Self {
        let rows = names.iter().try_fold(answer, |value, name| value.get(name));
        let rows_at = rows.filter(|rows| !rows.is_null()).map(|_| names.get(1..).unwrap_or_default());
        Self { rows_at, ..Self::of(answer, 200) }
    }
}

/// What an error means, and what it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) meaning: Meaning,
    /// Whether the rows of the response can be used all the same.
    pub(super) is_partial: bool,
    pub(super) concerns: Items,
}

/// The items of the list of the rows that an error concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Items {
    /// None of them: it is about something beside the rows.
    None,
    /// The one with this number, from 0.
    One(u64),
    /// It does not say which.
    Any,
}

/// Judges one error.
pub(super) fn judge(error: &Value, around: &Surroundings<'_>) -> Judged {
    let path = error["path"].as_array().map(Vec::as_slice).unwrap_or_default();
    let by_code = code(error).as_deref().and_then(of_code);
    let is_partial = around.has_data
        && around.rows_at.is_some_and(|rows_at| match path {
            // Without a path only the code can say that the error concerns all of the response.
            [] => !matches!(by_code, Some(Meaning::Throttled | Meaning::TooMuch)),
            path => !is_above(path, rows_at),
        });
    let meaning = match (by_code, largest_page(error)) {
        // A server that states its largest page gives it the code of any other mistake, or none.
        (None | Some(Meaning::TooMuch | Meaning::Kind(ErrorKind::Validation)), Some(rows)) => {
            Meaning::TooManyRows(rows)
        }
        (Some(meaning), _) => meaning,
        (None, None) => of_words(error, !path.is_empty(), around),
    };
    let meaning = if is_partial { meaning.beside_rows() } else { meaning };
    Judged { meaning, is_partial, concerns: concerned(path, around.rows_at.unwrap_or_default()) }
}

fn concerned(path: &[Value], rows_at: &[String]) -> Items {
    let (above, below) = path.split_at(rows_at.len().min(path.len()));
    match below.first() {
        _ if path.is_empty() => Items::Any,
        _ if !is_above(above, rows_at) => Items::None,
        Some(step) => step.as_u64().map_or(Items::Any, Items::One),
        None => Items::Any,
    }
}

/// Whether a path of a response leads to the rows or to something around them.
fn is_above(path: &[Value], rows_at: &[String]) -> bool {
    path.len() <= rows_at.len() && path.iter().zip(rows_at).all(|(step, name)| step.as_str() == Some(name))
}

/// The code of an error: of `extensions`, or the `type` of GitHub.
fn code(error: &Value) -> Option<String> {
    let places = [&error["extensions"]["code"], &error["type"], &error["extensions"]["type"]];
    places.into_iter().find_map(|code| match code {
        Value::String(code) if !code.is_empty() => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    })
}

fn of_code(code: &str) -> Option<Meaning> {
    Some(match code.to_uppercase().replace(['-', ' '], "_").as_str() {
        "THROTTLED" | "RATE_LIMITED" | "RATE_LIMIT" | "RATELIMITED" | "TOO_MANY_REQUESTS" => Meaning::Throttled,
        "MAX_COST_EXCEEDED"
        | "COMPLEXITY_LIMIT_EXCEEDED"
        | "QUERY_TOO_COMPLEX"
        | "MAX_NODE_LIMIT_EXCEEDED"
        | "RESOURCE_LIMITS_EXCEEDED"
        | "COST_LIMIT_EXCEEDED"
        | "OPERATION_TOO_COMPLEX"
        | "EXCESSIVE_PAGINATION"
        | "HC0051" => Meaning::TooMuch,
        "UNAUTHENTICATED" | "ACCESS_DENIED_NOT_AUTHENTICATED" | "INVALID_JWT" | "UNAUTHORIZED" => {
            Meaning::Kind(ErrorKind::Auth)
        }
        "FORBIDDEN" | "ACCESS_DENIED" | "INSUFFICIENT_SCOPES" => Meaning::Kind(ErrorKind::Permission),
        "TIMEOUT" | "QUERY_TIMEOUT" | "GATEWAY_TIMEOUT" | "REQUEST_TIMEOUT" => Meaning::Kind(ErrorKind::Timeout),
        "INTERNAL_SERVER_ERROR" | "SERVICE_UNAVAILABLE" | "BAD_GATEWAY" | "DOWNSTREAM_SERVICE_ERROR" => {
            Meaning::Kind(ErrorKind::Network)
        }
        "GRAPHQL_PARSE_FAILED"
        | "GRAPHQL_VALIDATION_FAILED"
        | "VALIDATION_FAILED"
        | "BAD_USER_INPUT"
        | "BAD_REQUEST" => Meaning::Kind(ErrorKind::Validation),
        _ => return None,
    })
}

/// The meaning of an error whose code says nothing. Words count only where there is no code, no path and no data.
fn of_words(error: &Value, has_path: bool, around: &Surroundings<'_>) -> Meaning {
    // Rejected before it ran: the query is at fault. Afterwards the cause is not known.
    let unknown = if around.ran { ErrorKind::Unknown } else { ErrorKind::Validation };
    let said = Words::of(error["message"].as_str().unwrap_or_default());
    if said.text.starts_with("cannot query field") {
        return Meaning::Kind(ErrorKind::Validation);
    }
    if has_path || around.has_data || code(error).is_some() {
        return Meaning::Kind(unknown);
    }
    if said.is_about_size() {
        return Meaning::TooMuch;
    }
    if around.is_rejected || said.names_a_part_of_the_query() {
        return Meaning::Kind(unknown);
    }
    if said.has(&["timeout"]) || said.contains(&["timed out", "took too long"]) {
        return Meaning::Kind(ErrorKind::Timeout);
    }
    if said.contains(&["rate limit", "too many requests"]) {
        return Meaning::Throttled;
    }
    Meaning::Kind(unknown)
}

/// A message in lower case, without what it has in quotes: these are names of the query or of the schema.
struct Words {
    text: String,
}

impl Words {
    fn of(message: &str) -> Self {
        let mut text = String::new();
        let mut quote = None;
        let mut before = ' ';
        for letter in message.to_lowercase().chars() {
            match quote {
                Some(open) if open == letter => quote = None,
                Some(_) => {}
                // An apostrophe inside of a word opens nothing.
                None if matches!(letter, '"' | '`') || (letter == '\'' && !before.is_alphanumeric()) => {
                    quote = Some(letter);
                }
                None => text.push(letter),
            }
            before = letter;
        }
        Self { text }
    }

    fn contains(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.text.contains(phrase))
    }

    /// Whether one of these is a word of it: `timeout_ms` is another word than `timeout`.
    fn has(&self, words: &[&str]) -> bool {
        let mut all = self.text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
        all.any(|word| words.contains(&word))
    }

    fn is_about_size(&self) -> bool {
        let compared = self.has(&["exceed", "exceeds", "exceeded", "limit", "max", "maximum", "over"]);
        let of_query = self.has(&["complexity", "cost"]) && compared && !self.names_a_part_of_the_query();
        of_query || self.contains(&["too complex", "node limit"])
    }

    fn names_a_part_of_the_query(&self) -> bool {
        self.has(&["argument", "directive", "field", "fragment", "type", "variable"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const AUTH: Meaning = Meaning::Kind(ErrorKind::Auth);
    const NETWORK: Meaning = Meaning::Kind(ErrorKind::Network);
    const TIMEOUT: Meaning = Meaning::Kind(ErrorKind::Timeout);
    const UNKNOWN: Meaning = Meaning::Kind(ErrorKind::Unknown);
    const VALIDATION: Meaning = Meaning::Kind(ErrorKind::Validation);

    fn names() -> Vec<String> {
        ["data", "items", "nodes"].map(str::to_owned).into()
    }

    fn judged(answer: &Value) -> Judged {
        let names = names();
        judge(&answer["errors"][0], &Surroundings::around_rows(answer, &names))
    }

    fn error(code: Option<&str>, path: &Value, message: &str) -> Value {
        let mut error = json!({"message": message});
        if let Some(code) = code {
            error["extensions"] = json!({"code": code});
        }
        if !path.is_null() {
            error["path"] = path.clone();
        }
        error
    }

    /// Every code, with what it means where the rows did not come, and beside rows.
    const CODES: [(Option<&str>, Meaning, Meaning); 9] = [
        (None, UNKNOWN, UNKNOWN),
        (Some("SOMETHING_ELSE"), UNKNOWN, UNKNOWN),
        (Some("INTERNAL_SERVER_ERROR"), NETWORK, UNKNOWN),
        (Some("TIMEOUT"), TIMEOUT, UNKNOWN),
        (Some("THROTTLED"), Meaning::Throttled, UNKNOWN),
        (Some("MAX_COST_EXCEEDED"), Meaning::TooMuch, UNKNOWN),
        (Some("UNAUTHENTICATED"), AUTH, AUTH),
        (Some("FORBIDDEN"), Meaning::Kind(ErrorKind::Permission), Meaning::Kind(ErrorKind::Permission)),
        (Some("GRAPHQL_VALIDATION_FAILED"), VALIDATION, VALIDATION),
    ];

    #[test]
    fn p2_data_and_a_path_below_the_rows_decide_before_any_code_or_word() {
        let whole = json!({"items": {"nodes": []}});
        let lost = [json!(null), json!({}), json!({"items": null}), json!({"items": {"nodes": null}})];
        for (code, alone, beside) in CODES {
            for message in
                ["boom", "the field timeout_ms is not set", "query complexity exceeds the limit", "timed out"]
            {
                for (path, concerns) in [
                    (json!(["items", "nodes", 3, "lines"]), Items::One(3)),
                    (json!(["items", "pageInfo"]), Items::None),
                ] {
                    let answer = |data: &Value| json!({"data": data, "errors": [error(code, &path, message)]});
                    let expected = Judged { meaning: beside, is_partial: true, concerns };
                    assert_eq!(judged(&answer(&whole)), expected, "{code:?} {message} {path}");
                    for lost in &lost {
                        let Judged { meaning, is_partial, .. } = judged(&answer(lost));
                        assert_eq!((meaning, is_partial), (alone, false), "{code:?} {message} {path} {lost}");
                    }
                }
                for path in [json!(["items"]), json!(["items", "nodes"])] {
                    let answer = json!({"data": whole, "errors": [error(code, &path, message)]});
                    let expected = Judged { meaning: alone, is_partial: false, concerns: Items::Any };
                    assert_eq!(judged(&answer), expected, "{code:?} {message} {path}");
                }
            }
        }
    }

    #[test]
    fn an_error_without_a_path_leaves_the_rows_unless_its_code_is_about_all_of_them() {
        for (code, meaning, is_partial) in [
            (None, UNKNOWN, true),
            (Some("INTERNAL_SERVER_ERROR"), UNKNOWN, true),
            (Some("THROTTLED"), Meaning::Throttled, false),
            (Some("MAX_COST_EXCEEDED"), Meaning::TooMuch, false),
        ] {
            let error = error(code, &Value::Null, "it timed out");
            let judged = judged(&json!({"data": {"items": {"nodes": []}}, "errors": [error]}));
            assert_eq!((judged.meaning, judged.is_partial), (meaning, is_partial), "{code:?}");
        }
    }

    #[test]
    fn p4_words_count_only_without_a_code_a_path_and_data() {
        let of = |status: u16, answer: Value| judge(&answer["errors"][0], &Surroundings::of(&answer, status)).meaning;
        for (message, meaning, rejected) in [
            ("Query is too complex.", Meaning::TooMuch, Meaning::TooMuch),
            ("The query exceeds the maximum cost of 1000", Meaning::TooMuch, Meaning::TooMuch),
            ("Query has complexity of 2000, which exceeds max complexity of 1000", Meaning::TooMuch, Meaning::TooMuch),
            ("Query timed out", TIMEOUT, VALIDATION),
            ("upstream request timeout", TIMEOUT, VALIDATION),
            ("API rate limit exceeded", Meaning::Throttled, VALIDATION),
            ("Too many requests", Meaning::Throttled, VALIDATION),
            ("Cannot query field \"timeout\" on type \"Item\".", VALIDATION, VALIDATION),
            ("Cannot query field timeout_ms on Item", VALIDATION, VALIDATION),
            ("Cannot query field 'complexityy' on type 'Item'. Did you mean 'complexity'?", VALIDATION, VALIDATION),
            ("Unknown argument \"rate limit\" on field \"Query.items\".", VALIDATION, VALIDATION),
            ("the field complexity is over the type's limit", VALIDATION, VALIDATION),
            ("the field timeout is not set", VALIDATION, VALIDATION),
            ("oops", VALIDATION, VALIDATION),
        ] {
            assert_eq!(of(200, json!({"errors": [error(None, &Value::Null, message)]})), meaning, "{message}");
            assert_eq!(of(400, json!({"errors": [error(None, &Value::Null, message)]})), rejected, "400: {message}");
            for code in ["GRAPHQL_VALIDATION_FAILED", "SOMETHING_ELSE"] {
                let answer = json!({"errors": [error(Some(code), &Value::Null, message)]});
                assert_eq!((of(200, answer.clone()), of(400, answer)), (VALIDATION, VALIDATION), "{code}: {message}");
            }
            if !message.starts_with("Cannot") {
                let with_path = json!({"data": null, "errors": [error(None, &json!(["items"]), message)]});
                assert_eq!(of(200, with_path), UNKNOWN, "with a path: {message}");
            }
        }
    }
}

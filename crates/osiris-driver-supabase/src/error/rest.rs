//! Classifies error responses of PostgREST and its gateway. The code in the body decides, not the status: some
//! client errors have the status 500 (<https://docs.postgrest.org/en/v12/references/errors.html>).

use osiris_core::{Code, Error, ErrorKind};
use osiris_http::{Explained, Failure};
use serde_json::Value;

use osiris_driver_postgres::error::{CODE, hint, kind_of, without_values};
use osiris_sql::error::code_of_state;

/// The error for a response; `None` if the status is sufficient (429, 502, 503 without a code).
pub(crate) fn rest_error(failure: &Failure<'_>) -> Option<Explained> {
    let body = failure.json().unwrap_or(Value::Null);
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let (code, message) = (text("code"), text("message"));
    let error = if code.starts_with("PGRST") {
        of_postgrest(failure, code, message)?
    } else if is_sqlstate(code) {
        of_the_database(failure, code, message)
    } else if body["code"] == "" {
        // How PostgREST reports a database connection lost during a statement, with status 400.
        Error::network(format!("{}: the API lost the connection to its database", failure.what()))
            .with_hint("the database may be restarting: run again later")
            .with_context("status", failure.status())
    } else {
        of_the_gateway(failure, message)?
    };
    Some(if may_have_acted(code) { error.into() } else { Explained::not_processed(error) })
}

/// Whether it is an SQLSTATE: five letters or digits.
fn is_sqlstate(code: &str) -> bool {
    code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether the statement may have had an effect. Database errors end the transaction; for a connection lost during a
/// statement the outcome is unknown.
fn may_have_acted(code: &str) -> bool {
    let refused = is_sqlstate(code) && !code.starts_with("08") && !code.starts_with("57P");
    let not_begun = matches!(code, "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003") || code.starts_with("PGRST1");
    !(refused || not_begun || code.starts_with("PGRST2") || code.starts_with("PGRST3"))
}

/// A database error reported by PostgREST.
fn of_the_database(failure: &Failure<'_>, code: &str, message: &str) -> Error {
    // The token selects the role: it does not log in with a password.
    let kind = kind_of(code, message);
    let said = format!("{}: {}", failure.what(), without_values(code, message));
    let advice = match code {
        "42501" if failure.status() == 401 => {
            "the anon key lacks the privilege: use the service role key, or grant the privilege to the role `anon`"
        }
        "57014" => {
            "the statement timeout of the API expired: read or write fewer rows at once, or use the database with `channel: postgres`"
        }
        "22P05" | "22021" => "PostgreSQL cannot store the character NUL: set `nul_bytes: strip`, or remove it",
        _ => hint(code, message, kind),
    };
    let error =
        Error::new(kind, said).with_hint(advice).with_context(CODE, code).with_context("status", failure.status());
    let error = error.with_code(code_of_state(code));
    // The same request would take as long the next time.
    if code == "57014" { error.with_retryable(false) } else { error }
}

/// An error of PostgREST itself.
fn of_postgrest(failure: &Failure<'_>, code: &str, message: &str) -> Option<Error> {
    let (kind, advice) = match code {
        "PGRST000" | "PGRST001" | "PGRST002" => (
            ErrorKind::Network,
            "the API cannot reach its database: it may be starting, paused or overloaded; try later",
        ),
        "PGRST003" => (
            ErrorKind::Timeout,
            "all connections of the API are busy: lower the number of parallel steps, or try later",
        ),
        "PGRST103" => (ErrorKind::Validation, "`offset` is greater than the number of rows"),
        "PGRST106" => (ErrorKind::Validation, "expose the schema in the API settings, or check `schema`"),
        "PGRST116" => (ErrorKind::Validation, "request a list of rows instead of exactly one"),
        "PGRST200" | "PGRST201" => (
            ErrorKind::Validation,
            "no unique foreign key for the embedded resource: check its name, or name the key as `table!key(...)`",
        ),
        "PGRST204" | "PGRST205" => (
            ErrorKind::Validation,
            "check the name; if it is new, reload the schema cache of the API: NOTIFY pgrst, 'reload schema'",
        ),
        "PGRST300" => (ErrorKind::Auth, "the API has no JWT secret: set it in its configuration"),
        "PGRST301" | "PGRST303" if says_expired(message) => {
            (ErrorKind::Auth, "the key has expired: create a new one, and check the clocks")
        }
        "PGRST301" | "PGRST303" => (ErrorKind::Auth, "check `key`: it is not a key of this project"),
        "PGRST302" => (ErrorKind::Auth, "set `key`: the API requires one"),
        _ if matches!(failure.status(), 400 | 404 | 405 | 406 | 415 | 416) => {
            (ErrorKind::Validation, "look up the code in PostgREST's list of errors")
        }
        _ => return None,
    };
    // PostgREST quotes names and parts of the request here, and never parts of a token.
    let said = format!("{}: {message}", failure.what());
    let error =
        Error::new(kind, said).with_hint(advice).with_context(CODE, code).with_context("status", failure.status());
    let error = error.with_code(match code {
        "PGRST204" => Some(Code::ColumnNotFound),
        "PGRST205" => Some(Code::TableNotFound),
        _ => None,
    });
    // A wrong clock makes a valid key look expired.
    let error = match failure.header("date").filter(|_| kind == ErrorKind::Auth) {
        Some(date) => error.with_context("server time", date),
        None => error,
    };
    Some(match failure.retry_after() {
        Some(delay) if kind.is_retried_by_default() => error.with_retry_after(delay),
        _ => error,
    })
}

fn says_expired(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("expired") || message.contains("issued at future")
}

/// A response of the gateway, with a message and no code.
fn of_the_gateway(failure: &Failure<'_>, message: &str) -> Option<Error> {
    match failure.status() {
        401 if message.contains("No API key") => Some(
            failure
                .error_of(ErrorKind::Auth, format!("{}: the API received no key", failure.what()))
                .with_hint("set `key`"),
        ),
        401 => Some(
            failure
                .error_of(ErrorKind::Auth, format!("{}: unknown API key", failure.what()))
                .with_hint("check `key` and `url`: a key is valid for one project only"),
        ),
        413 => Some(failure.error().with_hint("the request is too large for the API: set a smaller `batch_size`")),
        // Supabase returns 540 for a paused project.
        540 => Some(
            failure
                .error_of(ErrorKind::Network, format!("{}: the project is paused", failure.what()))
                .with_hint("resume it in the dashboard")
                .with_retryable(false),
        ),
        500 | 502..=504 => Some(
            failure
                .error()
                .with_hint("the project may be starting, paused or overloaded: check its status, or try later"),
        ),
        404 => Some(
            failure
                .error_of(ErrorKind::Validation, format!("{}: there is no REST API at this address", failure.what()))
                .with_hint("check `url`: expected the project's URL, such as https://abcdefgh.supabase.co"),
        ),
        _ => None,
    }
}

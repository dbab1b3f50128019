//! What PostgREST's answers of failure and those of the gateway before it mean. The code in the body decides, not the status: some
//! of the client's errors come as 500 (<https://docs.postgrest.org/en/v12/references/errors.html>).

use osiris_core::{Error, ErrorKind};
use osiris_http::{Explained, Failure};
use serde_json::Value;

use osiris_driver_postgres::error::{CODE, hint, kind_of, without_values};

/// What the answer means; nothing where the status says all there is to say (429, 502, 503 without a code).
pub(crate) fn rest_error(failure: &Failure<'_>) -> Option<Explained> {
    let body = failure.json().unwrap_or(Value::Null);
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let (code, message) = (text("code"), text("message"));
    let error = if code.starts_with("PGRST") {
        of_postgrest(failure, code, message)?
    } else if is_sqlstate(code) {
        of_the_database(failure, code, message)
    } else if body["code"] == "" {
        // How PostgREST passes on that the database went away in the middle of a statement, with status 400.
        Error::network(format!("{}: the API lost its database", failure.what()))
            .with_hint("the database may be restarting: run again a little later")
            .with_context("status", failure.status())
    } else {
        of_the_gateway(failure, message)?
    };
    Some(if may_have_acted(code) { error.into() } else { Explained::not_processed(error) })
}

/// Five letters or digits, as all SQLSTATEs are.
fn is_sqlstate(code: &str) -> bool {
    code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether the statement may have had an effect. The database's refusals end the transaction; a connection that was lost in the
/// middle says nothing.
fn may_have_acted(code: &str) -> bool {
    let refused = is_sqlstate(code) && !code.starts_with("08") && !code.starts_with("57P");
    let not_begun = matches!(code, "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003") || code.starts_with("PGRST1");
    !(refused || not_begun || code.starts_with("PGRST2") || code.starts_with("PGRST3"))
}

/// An error of the database that PostgREST passes on.
fn of_the_database(failure: &Failure<'_>, code: &str, message: &str) -> Error {
    // PostgREST's role is told by the token: the role signs in by no password.
    let kind = kind_of(code, message);
    let said = format!("{}: {}", failure.what(), without_values(code, message));
    let advice = match code {
        "42501" if failure.status() == 401 => {
            "the anon key may not do this: use the service role key, or grant the role `anon` what it needs"
        }
        "57014" => {
            "the API's statement timeout is over: read or write less at once, or use the database with `channel: postgres`"
        }
        "22P05" | "22021" => "PostgreSQL cannot store the character NUL: set `nul_bytes: strip`, or remove it",
        _ => hint(code, message, kind),
    };
    let error =
        Error::new(kind, said).with_hint(advice).with_context(CODE, code).with_context("status", failure.status());
    // The same request takes as long the next time.
    if code == "57014" { error.with_retryable(false) } else { error }
}

/// An error of PostgREST's own.
fn of_postgrest(failure: &Failure<'_>, code: &str, message: &str) -> Option<Error> {
    let (kind, advice) = match code {
        "PGRST000" | "PGRST001" | "PGRST002" => (
            ErrorKind::Network,
            "the API does not reach its database: it may be starting, paused or overloaded; try later",
        ),
        "PGRST003" => (
            ErrorKind::Timeout,
            "all connections of the API are busy: lower the number of parallel steps, or try later",
        ),
        "PGRST103" => (ErrorKind::Validation, "there are fewer rows than `offset` says"),
        "PGRST106" => {
            (ErrorKind::Validation, "add the schema to those that the API exposes (API settings), or check `schema`")
        }
        "PGRST116" => (ErrorKind::Validation, "ask for rows instead of exactly one"),
        "PGRST200" | "PGRST201" => (
            ErrorKind::Validation,
            "there is no single foreign key for the embedded resource: check its name, or name the key as `table!key(...)`",
        ),
        "PGRST204" | "PGRST205" => (
            ErrorKind::Validation,
            "check the name; if it is new, the API has not noticed yet: NOTIFY pgrst, 'reload schema'",
        ),
        "PGRST300" => (ErrorKind::Auth, "the API has no secret for tokens: set it in its configuration"),
        "PGRST301" | "PGRST303" if says_expired(message) => {
            (ErrorKind::Auth, "the key has expired: get a new one, and check that the clocks agree")
        }
        "PGRST301" | "PGRST303" => (ErrorKind::Auth, "check `key`: it is not one of this project"),
        "PGRST302" => (ErrorKind::Auth, "set `key`: the API takes nobody without one"),
        _ if matches!(failure.status(), 400 | 404 | 405 | 406 | 415 | 416) => {
            (ErrorKind::Validation, "look up the code in PostgREST's list of errors")
        }
        _ => return None,
    };
    // PostgREST quotes names and parts of the request here, and of a token never more than that it is broken.
    let said = format!("{}: {message}", failure.what());
    let error =
        Error::new(kind, said).with_hint(advice).with_context(CODE, code).with_context("status", failure.status());
    // A clock that is wrong makes a good key an expired one.
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

/// An answer of the gateway, which has a message and no code.
fn of_the_gateway(failure: &Failure<'_>, message: &str) -> Option<Error> {
    match failure.status() {
        401 if message.contains("No API key") => Some(
            failure.error_of(ErrorKind::Auth, format!("{}: the API got no key", failure.what())).with_hint("set `key`"),
        ),
        401 => Some(
            failure
                .error_of(ErrorKind::Auth, format!("{}: the API does not know the key", failure.what()))
                .with_hint("check `key` and `url`: the keys of one project do not open another"),
        ),
        // Supabase says 540 for a project that is paused.
        540 => Some(
            failure
                .error_of(ErrorKind::Network, format!("{}: the project is paused", failure.what()))
                .with_hint("wake it in the dashboard")
                .with_retryable(false),
        ),
        500 | 502..=504 => Some(
            failure
                .error()
                .with_hint("the project may be starting, paused or overloaded: look at its status, or try later"),
        ),
        404 => Some(
            failure
                .error_of(ErrorKind::Validation, format!("{}: there is no REST API at this address", failure.what()))
                .with_hint("check `url`: it is that of the project, such as https://abcdefgh.supabase.co"),
        ),
        _ => None,
    }
}

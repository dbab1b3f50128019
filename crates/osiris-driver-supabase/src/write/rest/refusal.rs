//! Classifies API errors: about rows, so that a row is a reject; about the size of a request; or
//! about anything else.

use osiris_core::Error;

use crate::error::sqlstate;

/// Whether an error is about the rows that were sent, not about the table, the key or the server. Such an error means
/// that nothing of the request was done.
pub(super) fn is_about_rows(error: &Error) -> bool {
    // Data exceptions, violated constraints, a view's check option, an error raised by a trigger
    // (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
    sqlstate(error).is_some_and(|code| {
        code.len() == 5 && (code.starts_with("22") || code.starts_with("23") || code == "44000" || code == "P0001")
    })
}

/// Whether a smaller request may succeed. The response means that nothing of it was done.
pub(super) fn was_too_much(error: &Error) -> bool {
    sqlstate(error) == Some("57014") || status(error) == Some("413")
}

/// Whether the API's schema cache is stale.
pub(super) fn is_not_noticed(error: &Error) -> bool {
    matches!(sqlstate(error), Some("PGRST204" | "PGRST205" | "42P01" | "PGRST202")) || status(error) == Some("404")
}

fn status(error: &Error) -> Option<&str> {
    error.context().iter().find(|(key, _)| *key == "status").map(|(_, value)| value.as_str())
}

/// The column of an error, and its message without the context.
pub(super) fn reason(error: &Error) -> (Option<String>, String) {
    let message = error.message();
    let text = message.split_once(": ").map_or(message, |(_, text)| text);
    let column =
        text.split_once("column \"").and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name.to_owned());
    (column, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> Error {
        let message = "writing rows: null value in column \"name\" of relation \"t\" violates not-null constraint";
        Error::validation(message).with_context("server error", code)
    }

    #[test]
    fn complaints_about_rows_are_told_from_the_others() {
        for code in ["22P02", "22003", "22P05", "23505", "23503", "23514", "23502", "P0001", "44000"] {
            assert!(is_about_rows(&error(code)), "{code}");
        }
        for code in ["21000", "42P10", "42501", "57014", "428C9", "PGRST204", "40P01"] {
            assert!(!is_about_rows(&error(code)), "{code}");
        }
        assert!(was_too_much(&error("57014")) && was_too_much(&Error::validation("x").with_context("status", 413)));
    }

    #[test]
    fn a_complaint_names_its_column() {
        let (column, text) = reason(&error("23502"));
        assert_eq!(column.as_deref(), Some("name"));
        assert!(text.starts_with("null value"), "{text}");
    }
}

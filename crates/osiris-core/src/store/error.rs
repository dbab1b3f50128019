//! From DuckDB's errors to ours: the class before the colon decides the kind, cell values are masked.

use crate::secret::MASK;
use crate::{Error, ErrorKind};

/// Turns an error of DuckDB into one of ours. `message` says what was being done.
///
/// DuckDB's own text becomes the source. Classes whose text quotes data (conversion, constraint, range) have what stands
/// in quotes masked.
pub fn store_error(error: duckdb::Error, message: impl Into<String>) -> Error {
    let text = match &error {
        duckdb::Error::DuckDBFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    let (class, detail) = split_class(&text);
    let detail = if quotes_data(class) { mask_quoted(detail) } else { detail.to_owned() };
    let ours = Error::new(kind_of(class, &detail), format!("{}: {}", message.into(), first_line(&detail)));
    let ours = match hint_for(class, &detail) {
        Some(hint) => ours.with_hint(hint),
        None => ours,
    };
    ours.with_source(EngineError { class: class.to_owned(), detail })
}

/// What DuckDB said, masked.
#[derive(Debug, thiserror::Error)]
#[error("DuckDB {class}: {detail}")]
struct EngineError {
    class: String,
    detail: String,
}

/// `Binder Error: text` is the class `Binder Error` and the text.
fn split_class(text: &str) -> (&str, &str) {
    match text.split_once(": ") {
        Some((class, detail)) if class.ends_with("Error") || class == "INTERRUPT" => (class, detail),
        _ => ("Error", text),
    }
}

fn kind_of(class: &str, detail: &str) -> ErrorKind {
    match class {
        "INTERRUPT Error" | "INTERRUPT" => ErrorKind::Cancelled,
        "Permission Error" => ErrorKind::Permission,
        "IO Error" if detail.contains("ermission denied") => ErrorKind::Permission,
        "Parser Error"
        | "Binder Error"
        | "Catalog Error"
        | "Conversion Error"
        | "Invalid Input Error"
        | "Out of Range Error"
        | "Constraint Error"
        | "Not implemented Error"
        | "Syntax Error"
        | "Invalid Type Error"
        | "Mismatch Type Error"
        | "Expression Error"
        | "Parameter Not Resolved Error" => ErrorKind::Validation,
        // The appender names no class.
        _ if detail.starts_with("type mismatch") => ErrorKind::Validation,
        _ => ErrorKind::Unknown,
    }
}

fn quotes_data(class: &str) -> bool {
    matches!(
        class,
        "Conversion Error" | "Out of Range Error" | "Constraint Error" | "Invalid Input Error" | "Mismatch Type Error"
    )
}

fn hint_for(class: &str, detail: &str) -> Option<&'static str> {
    match class {
        "Out of Memory Error" => Some("raise `--memory-limit`, or give the run more disk to spill to"),
        "IO Error" if detail.contains("No space left") => Some("free some disk space and resume the run"),
        "Permission Error" => Some("a run can reach only the directories that the steps of its plan name"),
        _ => None,
    }
}

fn first_line(detail: &str) -> &str {
    detail.lines().next().unwrap_or(detail)
}

/// Masks what stands in single or double quotes.
fn mask_quoted(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut open: Option<char> = None;
    for c in text.chars() {
        match open {
            None if c == '\'' || c == '"' => {
                masked.push(c);
                masked.push_str(MASK);
                open = Some(c);
            }
            Some(quote) if c == quote => {
                masked.push(c);
                open = None;
            }
            Some(_) => {}
            None => masked.push(c),
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Error {
        store_error(duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned())), "the query failed")
    }

    #[test]
    fn cell_values_are_masked() {
        let error = failure("Conversion Error: Could not convert string 'Jane Doe' to INT32");
        assert!(!format!("{error:?}").contains("Jane"), "{error:?}");
        assert_eq!(error.message(), "the query failed: Could not convert string '***' to INT32");
        assert_eq!(error.kind(), ErrorKind::Validation);
    }

    #[test]
    fn names_stay_readable() {
        let error = failure("Catalog Error: Table with name \"movie\" does not exist!\nDid you mean \"movies\"?");
        assert!(error.message().contains("\"movie\""));
    }

    #[test]
    fn interrupts_are_cancellations() {
        assert_eq!(failure("INTERRUPT Error: Interrupted!").kind(), ErrorKind::Cancelled);
    }
}

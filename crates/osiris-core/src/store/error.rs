//! Maps DuckDB's errors: the class before the colon decides the kind, and cell values are masked.

use super::mask::{mask_data, quotes_data};
use crate::{Code, Error, ErrorKind};

/// Marks what the store itself says while DuckDB reads from it: there is no value of a cell in it, and it is not masked.
pub(super) const OWN: &str = "osiris(): ";

/// Adds the hint to use TRY_CAST to an error of a query of the user's, `sql`, that met a value which does not fit: where
/// he wrote a cast.
pub fn with_cast_hint(error: Error, sql: &str) -> Error {
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<EngineError>());
    let is_cast = source.is_some_and(|engine| matches!(&*engine.class, "Conversion" | "Mismatch Type"));
    if is_cast && has_cast(sql) { error.with_hint("use TRY_CAST where a value may not fit the type") } else { error }
}

/// Whether a cast is written in SQL. That it may stand in a text or a comment is of no consequence: it decides a hint.
fn has_cast(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    let cast = |at: usize| !sql[..at].ends_with("try_") && sql[at + 4..].trim_start().starts_with('(');
    sql.contains("::") || sql.match_indices("cast").any(|(at, _)| cast(at))
}

/// Converts an error of DuckDB. `message` says what failed.
///
/// DuckDB's own text becomes the source. Classes whose text quotes data (conversion, constraint, range) have the values
/// masked.
pub fn store_error(error: duckdb::Error, message: impl Into<String>) -> Error {
    statement_error(error, message, "")
}

/// The same for a statement with SQL of the user's, `sql`: what he has written himself as the message of an error stays.
pub fn statement_error(error: duckdb::Error, message: impl Into<String>, sql: &str) -> Error {
    let EngineError { class, detail, offset } = EngineError::read(&error);
    let detail = match detail.strip_prefix(OWN) {
        Some(own) => own.to_owned(),
        None if quotes_data(&class, &detail) => mask_data(&class, &detail, sql),
        None => detail,
    };
    let ours = Error::new(kind_of(&class, &detail), format!("{}: {}", message.into(), first_line(&detail)));
    let ours = match hint_for(&class, &detail) {
        Some(hint) => ours.with_hint(hint),
        None => ours,
    };
    ours.with_code(code_of(&class, &detail)).with_source(EngineError { class, detail, offset })
}

/// An error of DuckDB, in parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("DuckDB {class} error: {detail}")]
pub struct EngineError {
    /// The class: `Binder`, `Conversion`, `IO`, ...
    pub class: String,
    /// The text. It may quote data: mask it before showing it.
    pub detail: String,
    /// The position in the statement, in bytes, if DuckDB reports it.
    pub offset: Option<usize>,
}

impl EngineError {
    /// Parses an error. The store configures DuckDB to report errors as JSON; some still come as plain text.
    pub fn read(error: &duckdb::Error) -> Self {
        let text = match error {
            duckdb::Error::DuckDBFailure(_, Some(text)) => text.clone(),
            other => other.to_string(),
        };
        let json = text.find('{').and_then(|start| serde_json::from_str::<serde_json::Value>(&text[start..]).ok());
        if let Some(json) = json
            && let (Some(class), Some(detail)) = (json["exception_type"].as_str(), json["exception_message"].as_str())
        {
            let offset = json["position"].as_str().and_then(|position| position.parse().ok());
            return Self { class: class.to_owned(), detail: detail.to_owned(), offset };
        }
        let (class, detail) = match text.split_once(": ") {
            Some((class, detail)) if class.ends_with(" Error") => (class.trim_end_matches(" Error"), detail),
            _ => ("", text.as_str()),
        };
        Self { class: class.to_owned(), detail: detail.to_owned(), offset: None }
    }
}

fn kind_of(class: &str, detail: &str) -> ErrorKind {
    match class {
        "INTERRUPT" => ErrorKind::Cancelled,
        "Permission" => ErrorKind::Permission,
        "IO" if detail.contains("ermission denied") => ErrorKind::Permission,
        "Parser" | "Binder" | "Catalog" | "Conversion" | "Invalid Input" | "Out of Range" | "Constraint" => {
            ErrorKind::Validation
        }
        "Not implemented" | "Syntax" | "Invalid type" | "Mismatch Type" | "Expression" | "Parameter Not Resolved" => {
            ErrorKind::Validation
        }
        // The appender names no class.
        _ if detail.starts_with("type mismatch") => ErrorKind::Validation,
        _ => ErrorKind::Unknown,
    }
}

fn code_of(class: &str, detail: &str) -> Option<Code> {
    Some(match class {
        // It is the expression that fails, though the class is that of a value out of range.
        _ if detail.starts_with("Division by zero") => Code::SqlFailed,
        "Parser" | "Syntax" => Code::SqlSyntax,
        "Permission" => Code::SqlNotAllowed,
        "Catalog" if detail.starts_with("Table ") => Code::TableNotFound,
        "Binder" if detail.starts_with("Referenced column") || detail.contains("does not have a column named") => {
            Code::ColumnNotFound
        }
        "Binder" | "Catalog" | "Not implemented" | "Expression" | "Parameter Not Resolved" => Code::SqlFailed,
        "Conversion" | "Mismatch Type" | "Out of Range" => Code::ValueDoesNotFit,
        "Constraint" => Code::ConstraintViolated,
        "Out of Memory" => Code::OutOfMemory,
        "IO" if detail.contains("No space left") => Code::DiskFull,
        _ => return None,
    })
}

fn hint_for(class: &str, detail: &str) -> Option<String> {
    let fixed = match class {
        "Out of Memory" => "raise `--memory-limit`, or give the run more disk to spill to",
        "IO" if detail.contains("No space left") => "free some disk space and resume the run",
        "Permission" => "SQL can access only the files that the steps of the plan name",
        "Binder" | "Catalog" => return Some(candidates(detail)),
        "Parser" | "Syntax" => "fix the SQL at that position; the dialect is DuckDB's",
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// DuckDB lists what it could have meant below the first line of its text.
fn candidates(detail: &str) -> String {
    let rest: Vec<&str> = detail.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).take(6).collect();
    if rest.is_empty() { "check the names and types in the query".to_owned() } else { rest.join("; ") }
}

fn first_line(detail: &str) -> &str {
    detail.lines().next().unwrap_or(detail)
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
    fn try_cast_is_the_hint_where_a_cast_was_written() {
        let text = "Conversion Error: Could not convert string 'Jane Doe' to INT32";
        let hinted = |sql: &str| {
            let error = duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned()));
            with_cast_hint(store_error(error, "the query failed"), sql)
                .hint()
                .is_some_and(|hint| hint.contains("TRY_CAST"))
        };
        assert!(hinted("SELECT a::INT FROM t") && hinted("SELECT Cast (a AS INT) FROM t"));
        assert!(!hinted("SELECT broadcast FROM t") && !hinted("SELECT try_cast(a AS INT) FROM t WHERE b = 5"));
        assert_eq!(failure(text).hint(), None, "no query of the user's failed");
    }

    #[test]
    fn the_line_of_a_csv_file_is_masked() {
        let text = "Invalid Input Error: CSV Error on Line: 3\nOriginal Line: Jane,\nDoe\nPossible fixes:\n* Set x";
        let error = failure(text);
        let shown = format!("{error:?}");
        assert!(!shown.contains("Jane") && !shown.contains("Doe") && shown.contains("Possible fixes"), "{shown}");
    }

    #[test]
    fn classes_have_their_codes() {
        for (text, code) in [
            ("Parser Error: syntax error at or near", Code::SqlSyntax),
            ("Catalog Error: Table with name \"movie\" does not exist!", Code::TableNotFound),
            ("Catalog Error: Scalar Function with name x does not exist!", Code::SqlFailed),
            ("Binder Error: Referenced column \"a\" not found in FROM clause!", Code::ColumnNotFound),
            ("Conversion Error: Could not convert string 'x' to INT32", Code::ValueDoesNotFit),
            ("Out of Range Error: Overflow in addition of INT32 (1 + 2)!", Code::ValueDoesNotFit),
            ("Out of Range Error: Division by zero in expression (a // b). Use TRY(...)", Code::SqlFailed),
            ("Out of Memory Error: failed to allocate", Code::OutOfMemory),
            ("IO Error: No space left on device", Code::DiskFull),
            ("INTERRUPT Error: Interrupted!", Code::Interrupted),
        ] {
            assert_eq!(failure(text).code(), code, "{text}");
        }
    }

    #[test]
    fn names_stay_readable() {
        let error = failure("Catalog Error: Table with name \"movie\" does not exist!\nDid you mean \"movies\"?");
        assert!(error.message().contains("\"movie\""));
    }

    #[test]
    fn json_and_plain_text_are_read_alike() {
        let json = r#"Binder Error: {"exception_type":"Binder","exception_message":"no \"x\"","position":"7"}"#;
        let read = |text: &str| {
            EngineError::read(&duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned())))
        };
        let expected = EngineError { class: "Binder".into(), detail: "no \"x\"".into(), offset: Some(7) };
        assert_eq!(read(json), expected);
        assert_eq!(read("Binder Error: no \"x\""), EngineError { offset: None, ..expected });
    }

    #[test]
    fn interrupts_are_cancellations() {
        assert_eq!(failure("INTERRUPT Error: Interrupted!").kind(), ErrorKind::Cancelled);
    }
}

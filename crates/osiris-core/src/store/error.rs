//! Maps DuckDB's errors: the class before the colon decides the kind, and cell values are masked.

use crate::secret::MASK;
use crate::{Error, ErrorKind};

/// Converts an error of DuckDB. `message` says what failed.
///
/// DuckDB's own text becomes the source. Classes whose text quotes data (conversion, constraint, range) have what
/// stands in quotes masked.
pub fn store_error(error: duckdb::Error, message: impl Into<String>) -> Error {
    let EngineError { class, detail, offset } = EngineError::read(&error);
    let detail = if quotes_data(&class) { mask_data(&detail) } else { detail };
    let ours = Error::new(kind_of(&class, &detail), format!("{}: {}", message.into(), first_line(&detail)));
    let ours = match hint_for(&class, &detail) {
        Some(hint) => ours.with_hint(hint),
        None => ours,
    };
    ours.with_source(EngineError { class, detail, offset })
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

fn quotes_data(class: &str) -> bool {
    matches!(class, "Conversion" | "Out of Range" | "Constraint" | "Invalid Input" | "Mismatch Type")
}

fn hint_for(class: &str, detail: &str) -> Option<String> {
    let fixed = match class {
        "Out of Memory" => "raise `--memory-limit`, or give the run more disk to spill to",
        "IO" if detail.contains("No space left") => "free some disk space and resume the run",
        "Permission" => "SQL can access only the files that the steps of the plan name",
        "Conversion" | "Out of Range" | "Mismatch Type" => "use TRY_CAST where a value may not fit the type",
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

/// Masks what stands in single or double quotes, and the line of a file that the CSV reader quotes.
fn mask_data(text: &str) -> String {
    const LINE: &str = "Original Line:";
    let Some((before, line)) = text.split_once(LINE) else { return mask_quoted(text) };
    // The line may hold line breaks; DuckDB's own advice follows it.
    let after = line.find("\nPossible").map_or("", |at| &line[at..]);
    format!("{}{LINE} {MASK}{}", mask_quoted(before), mask_quoted(after))
}

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
    fn the_line_of_a_csv_file_is_masked() {
        let text = "Invalid Input Error: CSV Error on Line: 3\nOriginal Line: Jane,\nDoe\nPossible fixes:\n* Set x";
        let error = failure(text);
        let shown = format!("{error:?}");
        assert!(!shown.contains("Jane") && !shown.contains("Doe") && shown.contains("Possible fixes"), "{shown}");
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

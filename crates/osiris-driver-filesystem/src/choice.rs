//! `filesystem.extractor` and `filesystem.writer`: aliases of the component for the format of the path.

use std::path::Path;

use osiris_core::{Error, Result};
use serde_json::{Map, Value};

use crate::client::FileKind;
use crate::csv::CSV_FILES;
use crate::jsonl::JSONL_FILES;
use crate::parquet::PARQUET_FILES;

const CSV_EXTRACTOR: &str = "filesystem.csv_extractor";
const CSV_WRITER: &str = "filesystem.csv_writer";
const JSONL_EXTRACTOR: &str = "filesystem.jsonl_extractor";
const JSONL_WRITER: &str = "filesystem.jsonl_writer";
const PARQUET_EXTRACTOR: &str = "filesystem.parquet_extractor";
const PARQUET_WRITER: &str = "filesystem.parquet_writer";

/// The components behind `filesystem.extractor`.
pub(crate) const EXTRACTORS: &[&str] = &[CSV_EXTRACTOR, JSONL_EXTRACTOR, PARQUET_EXTRACTOR];
/// The components behind `filesystem.writer`.
pub(crate) const WRITERS: &[&str] = &[CSV_WRITER, JSONL_WRITER, PARQUET_WRITER];
/// The files of each, in the same order.
const FORMATS: [&FileKind; 3] = [&CSV_FILES, &JSONL_FILES, &PARQUET_FILES];

/// The extractor of the format.
///
/// # Errors
/// When the path does not tell the format.
pub(crate) fn extractor(config: &Map<String, Value>) -> Result<&'static str> {
    by_path(config, EXTRACTORS)
}

/// The writer of the format.
///
/// # Errors
/// When the path does not tell the format.
pub(crate) fn writer(config: &Map<String, Value>) -> Result<&'static str> {
    by_path(config, WRITERS)
}

fn by_path(config: &Map<String, Value>, components: &'static [&'static str]) -> Result<&'static str> {
    let path = config.get("path").and_then(Value::as_str).unwrap_or_default();
    // What passes through a standard stream is CSV, unless a step says otherwise.
    let is_of = |kind: &FileKind| kind.matches(Path::new(path)) || (path == "-" && kind.name == CSV_FILES.name);
    if let Some((_, component)) = FORMATS.iter().zip(components).find(|(kind, _)| is_of(kind)) {
        return Ok(*component);
    }
    let message = match path {
        "" => "the format depends on `path`, which is missing".to_owned(),
        path if is_workbook(path) && components == EXTRACTORS => {
            format!("`{path}` is a workbook, and workbooks are not read: save the sheet as CSV")
        }
        path => format!("the format cannot be inferred from the path `{path}`"),
    };
    let named: Vec<String> = components.iter().map(|component| format!("`component: {component}`")).collect();
    Err(Error::validation(message).with_hint(format!(
        "the formats are {}; for a file with another name write {}",
        FORMATS.map(described).join(", "),
        named.join(", ")
    )))
}

fn is_workbook(path: &str) -> bool {
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ["xlsx", "xlsm", "xlsb", "xls", "ods"].contains(&ending.as_str()))
}

/// `CSV (.csv, .tsv, also compressed)`.
fn described(kind: &FileKind) -> String {
    let extensions: Vec<String> = kind.extensions.iter().map(|extension| format!(".{extension}")).collect();
    let compressed = if kind.compressions.is_empty() { "" } else { ", also compressed" };
    format!("{} ({}{compressed})", kind.name, extensions.join(", "))
}

#[cfg(test)]
mod tests {
    use osiris_core::Registry;
    use serde_json::json;

    use super::*;

    fn chosen(component: &str, path: &str) -> Result<String> {
        let mut registry = Registry::new();
        crate::register(&mut registry).unwrap();
        let config = json!({"path": path});
        let driver = registry.find(component, config.as_object().unwrap())?;
        Ok(driver.spec().name.to_owned())
    }

    #[test]
    fn the_extension_decides() {
        for (component, path, expected) in [
            ("filesystem.extractor", "in/*.CSV.gz", "filesystem.csv_extractor"),
            ("filesystem.extractor", "in/*.ndjson", "filesystem.jsonl_extractor"),
            ("filesystem.writer", "out.jsonl.zst", "filesystem.jsonl_writer"),
            ("filesystem.extractor", "in/**/*.parquet", "filesystem.parquet_extractor"),
            ("filesystem.writer", "out.tsv", "filesystem.csv_writer"),
            ("filesystem.writer", "out.pq", "filesystem.parquet_writer"),
            ("filesystem.writer", "-", "filesystem.csv_writer"),
        ] {
            assert_eq!(chosen(component, path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_workbook_is_told_as_such() {
        for path in ["book.xlsx", "in/BOOK.XLS"] {
            let error = chosen("filesystem.extractor", path).unwrap_err();
            let expected = format!("`{path}` is a workbook, and workbooks are not read: save the sheet as CSV");
            assert_eq!(error.message(), expected);
        }
    }

    #[test]
    fn a_path_that_does_not_tell_is_an_error_that_names_the_components() {
        for path in ["in/", "", "a.xlsx"] {
            let error = chosen("filesystem.writer", path).unwrap_err();
            assert_eq!(
                error.hint().unwrap(),
                "the formats are CSV (.csv, .tsv, .txt, also compressed), JSON lines (.jsonl, .ndjson, also compressed), \
                 Parquet (.parquet, .parq, .pq); for a file with another name write `component: filesystem.csv_writer`, \
                 `component: filesystem.jsonl_writer`, `component: filesystem.parquet_writer`"
            );
        }
    }
}

//! `filesystem.extractor` and `filesystem.writer`: aliases of the component for the format of the path.

use std::path::Path;

use osiris_core::{Error, Result};
use serde_json::{Map, Value};

use crate::client::FileKind;
use crate::csv::CSV_FILES;
use crate::excel::EXCEL_FILES;
use crate::ipc::ARROW_FILES;
use crate::json::JSON_FILES;
use crate::jsonl::JSONL_FILES;
use crate::parquet::PARQUET_FILES;

/// The components behind `filesystem.extractor`.
pub(crate) const EXTRACTORS: &[&str] = &[
    "filesystem.arrow_extractor",
    "filesystem.csv_extractor",
    "filesystem.excel_extractor",
    "filesystem.json_extractor",
    "filesystem.jsonl_extractor",
    "filesystem.parquet_extractor",
];
/// The files of each, in the same order.
const READ: &[&FileKind] = &[&ARROW_FILES, &CSV_FILES, &EXCEL_FILES, &JSON_FILES, &JSONL_FILES, &PARQUET_FILES];
/// The components behind `filesystem.writer`.
pub(crate) const WRITERS: &[&str] = &[
    "filesystem.arrow_writer",
    "filesystem.csv_writer",
    "filesystem.json_writer",
    "filesystem.jsonl_writer",
    "filesystem.parquet_writer",
];
/// The files of each, in the same order.
const WRITTEN: &[&FileKind] = &[&ARROW_FILES, &CSV_FILES, &JSON_FILES, &JSONL_FILES, &PARQUET_FILES];

/// The extractor of the format.
///
/// # Errors
/// When the path does not tell the format.
pub(crate) fn extractor(config: &Map<String, Value>) -> Result<&'static str> {
    by_path(config, EXTRACTORS, READ, |path| {
        format!("`{path}` is a workbook of another format: save it as an Excel workbook (.xlsx)")
    })
}

/// The writer of the format.
///
/// # Errors
/// When the path does not tell the format.
pub(crate) fn writer(config: &Map<String, Value>) -> Result<&'static str> {
    by_path(config, WRITERS, WRITTEN, |path| {
        format!("`{path}` is a workbook, and workbooks are not written: write CSV, which Excel opens")
    })
}

/// The component for the files of the path; `workbook` is the message for a workbook that none of them is for.
fn by_path(
    config: &Map<String, Value>,
    components: &'static [&'static str],
    formats: &[&FileKind],
    workbook: impl Fn(&str) -> String,
) -> Result<&'static str> {
    let path = config.get("path").and_then(Value::as_str).unwrap_or_default();
    // What passes through a standard stream is CSV, unless a step says otherwise.
    let is_of = |kind: &FileKind| kind.matches(Path::new(path)) || (path == "-" && kind.name == CSV_FILES.name);
    if let Some((_, component)) = formats.iter().zip(components).find(|(kind, _)| is_of(kind)) {
        return Ok(*component);
    }
    let known: Vec<String> = formats.iter().map(|kind| described(kind)).collect();
    let message = match path {
        "" => "the format depends on `path`, which is missing".to_owned(),
        path if is_workbook(path) => workbook(path),
        path => format!("the format cannot be inferred from the path `{path}`: known are {}", known.join(", ")),
    };
    let named: Vec<String> = components.iter().map(|component| format!("`component: {component}`")).collect();
    Err(Error::validation(message).with_hint(format!("for a file with another name write {}", named.join(", "))))
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
            ("filesystem.extractor", "in/BOOK.xlsx", "filesystem.excel_extractor"),
            ("filesystem.extractor", "in/*.json.gz", "filesystem.json_extractor"),
            ("filesystem.writer", "out.JSON", "filesystem.json_writer"),
            ("filesystem.extractor", "in/*.feather", "filesystem.arrow_extractor"),
            ("filesystem.writer", "out.arrows", "filesystem.arrow_writer"),
            ("filesystem.writer", "out.tsv", "filesystem.csv_writer"),
            ("filesystem.writer", "out.pq", "filesystem.parquet_writer"),
            ("filesystem.writer", "-", "filesystem.csv_writer"),
        ] {
            assert_eq!(chosen(component, path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_workbook_that_is_not_read_or_not_written_is_told_as_such() {
        for path in ["book.xlsb", "in/BOOK.XLS", "book.ods"] {
            let error = chosen("filesystem.extractor", path).unwrap_err();
            let expected = format!("`{path}` is a workbook of another format: save it as an Excel workbook (.xlsx)");
            assert_eq!(error.message(), expected);
        }
        let error = chosen("filesystem.writer", "a.xlsx").unwrap_err();
        assert!(error.message().contains("workbooks are not written: write CSV"), "{error:?}");
    }

    #[test]
    fn a_path_that_does_not_tell_is_an_error_that_names_the_formats_and_components() {
        for path in ["in/", "a.xml"] {
            let error = chosen("filesystem.writer", path).unwrap_err();
            assert_eq!(
                error.message(),
                format!(
                    "the format cannot be inferred from the path `{path}`: known are Arrow IPC (.arrow, .feather, .arrows), CSV (.csv, .tsv, .txt, also compressed), \
                     JSON (.json, also compressed), JSON lines (.jsonl, .ndjson, also compressed), Parquet (.parquet, .parq, .pq)"
                )
            );
            assert_eq!(
                error.hint().unwrap(),
                "for a file with another name write `component: filesystem.arrow_writer`, `component: filesystem.csv_writer`, \
                 `component: filesystem.json_writer`, `component: filesystem.jsonl_writer`, `component: filesystem.parquet_writer`"
            );
        }
        let error = chosen("filesystem.extractor", "").unwrap_err();
        assert!(error.hint().unwrap().contains("`component: filesystem.excel_extractor`"), "{error:?}");
    }
}

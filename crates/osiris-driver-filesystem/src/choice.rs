//! `filesystem.extractor` and `filesystem.writer`: aliases of the component for the format of the path.

use std::path::Path;

use osiris_core::{Error, Result};
use serde_json::{Map, Value};

use crate::client::FileKind;
use crate::csv::CSV_FILES;
use crate::parquet::PARQUET_FILES;

const CSV_EXTRACTOR: &str = "filesystem.csv_extractor";
const CSV_WRITER: &str = "filesystem.csv_writer";
const PARQUET_EXTRACTOR: &str = "filesystem.parquet_extractor";
const PARQUET_WRITER: &str = "filesystem.parquet_writer";

/// The components behind `filesystem.extractor`.
pub(crate) const EXTRACTORS: &[&str] = &[CSV_EXTRACTOR, PARQUET_EXTRACTOR];
/// The components behind `filesystem.writer`.
pub(crate) const WRITERS: &[&str] = &[CSV_WRITER, PARQUET_WRITER];

/// The extractor of the format.
///
/// # Errors
/// When the path does not tell the format.
pub(crate) fn extractor(config: &Map<String, Value>) -> Result<&'static str> {
    by_path(config, CSV_EXTRACTOR, PARQUET_EXTRACTOR)
}

/// The writer of the format.
///
/// # Errors
/// When the path does not tell the format.
pub(crate) fn writer(config: &Map<String, Value>) -> Result<&'static str> {
    by_path(config, CSV_WRITER, PARQUET_WRITER)
}

fn by_path(config: &Map<String, Value>, csv: &'static str, parquet: &'static str) -> Result<&'static str> {
    let path = config.get("path").and_then(Value::as_str).unwrap_or_default();
    // What passes through a standard stream is text, unless a step says otherwise.
    if path == "-" || CSV_FILES.matches(Path::new(path)) {
        return Ok(csv);
    }
    if PARQUET_FILES.matches(Path::new(path)) {
        return Ok(parquet);
    }
    let message = match path {
        "" => "the format depends on `path`, which is missing".to_owned(),
        path => format!("the format cannot be inferred from the path `{path}`"),
    };
    let known = |kind: &FileKind| kind.extensions.iter().map(|one| format!(".{one}")).collect::<Vec<_>>().join(", ");
    Err(Error::validation(message).with_hint(format!(
        "CSV is {} (also compressed), Parquet is {}; for a file with another name write `component: {csv}` or `component: {parquet}`",
        known(&CSV_FILES),
        known(&PARQUET_FILES)
    )))
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
            ("filesystem.extractor", "in/**/*.parquet", "filesystem.parquet_extractor"),
            ("filesystem.writer", "out.tsv", "filesystem.csv_writer"),
            ("filesystem.writer", "out.pq", "filesystem.parquet_writer"),
            ("filesystem.writer", "-", "filesystem.csv_writer"),
        ] {
            assert_eq!(chosen(component, path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_that_does_not_tell_is_an_error_that_names_the_components() {
        for path in ["in/", "", "a.xlsx"] {
            let error = chosen("filesystem.writer", path).unwrap_err();
            assert!(error.hint().unwrap().contains("filesystem.parquet_writer"), "{error:?}");
        }
    }
}

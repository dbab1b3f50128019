//! `ini.extractor`: the settings of an INI file as a table with the columns `section`, `name` and `value`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use osiris::core::DRY_RUN_ROWS;
use osiris::core::prelude::arrow::array::{ArrayRef, RecordBatch, StringArray};
use osiris::core::prelude::*;

/// What to read.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "osiris::core::serde", deny_unknown_fields)]
#[schemars(crate = "osiris::core::schemars")]
pub struct IniConfig {
    /// The file. A relative path starts at the directory of the pipeline file.
    path: PathBuf,
}

/// Reads the settings of an INI file.
pub struct IniExtractor;

impl Component for IniExtractor {
    const SPEC: ComponentSpec = ComponentSpec::new(
        "ini.extractor",
        env!("CARGO_PKG_VERSION"),
        Role::Extract,
        "Reads the settings of an INI file",
    );
    type Connection = NoConnection;
    type Config = IniConfig;
}

/// Rows that are sent at once.
const BATCH: usize = 1000;

#[async_trait]
impl Extract for IniExtractor {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        let path = step.base_dir().join(&step.config().path);
        let file = File::open(&path).map_err(|error| {
            Error::from(error).with_hint("check the `path` of the step").with_context("path", path.display())
        })?;
        let limit = if step.dry_run() { DRY_RUN_ROWS } else { u64::MAX };
        let mut settings = settings(BufReader::new(file)).take(usize::try_from(limit).unwrap_or(usize::MAX));
        let sender = out.sender(batch(&[])?.schema()).await?;
        let mut read = 0;
        loop {
            let rows = settings.by_ref().take(BATCH).collect::<Result<Vec<_>>>()?;
            if rows.is_empty() {
                return Ok(Extracted::rows(read));
            }
            read += rows.len() as u64;
            sender.send(batch(&rows)?).await?;
        }
    }
}

/// A section, a name and a value.
type Setting = [String; 3];

/// The settings of a file, line by line. No error shows what is in the line: it may be a password.
fn settings(file: impl BufRead) -> impl Iterator<Item = Result<Setting>> {
    let mut section = String::new();
    (1_u64..).zip(file.lines()).filter_map(move |(number, line)| {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Some(Err(error.into())),
        };
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            return None;
        }
        let is_setting = !line.is_empty() && !line.starts_with([';', '#']);
        is_setting.then(|| match line.split_once('=') {
            Some((name, value)) => Ok([section.clone(), name.trim().to_owned(), value.trim().to_owned()]),
            None => Err(Error::validation(format!("line {number} is not a setting")).with_hint("write `name = value`")),
        })
    })
}

fn batch(rows: &[Setting]) -> Result<RecordBatch> {
    let column = |index: usize| Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[index]))) as ArrayRef;
    let columns = [("section", column(0)), ("name", column(1)), ("value", column(2))];
    RecordBatch::try_from_iter(columns).map_err(|error| Error::unknown("the rows are not a batch").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_their_section_and_a_line_without_a_value_is_named_by_its_number() {
        let file = "; comment\na = 1\n\n[web]\nport=80\nhost = a=b\n";
        let found = settings(file.as_bytes()).collect::<Result<Vec<_>>>().unwrap();
        assert_eq!(found, [["", "a", "1"], ["web", "port", "80"], ["web", "host", "a=b"]]);
        let error = settings("a = 1\nsecret".as_bytes()).collect::<Result<Vec<_>>>().unwrap_err();
        assert_eq!(error.message(), "line 2 is not a setting");
    }
}

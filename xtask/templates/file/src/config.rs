//! The configuration of the components and their connection. The doc comments are the reference; nothing here does I/O.

use std::path::PathBuf;

use osiris_core::Problem;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Where the tables are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionConfig {
    /// The directory that holds the tables, one text file each: an absolute path.
    #[serde(deserialize_with = "absolute_path")]
    #[schemars(extend("x-override" = "address"))]
    pub directory: PathBuf,
}

/// What to read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractorConfig {
    /// The table: a file name without `.txt`.
    #[schemars(length(min = 1))]
    pub table: String,
    /// Rows per page.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub page_size: usize,
}

/// What to write.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriterConfig {
    /// The table: a file name without `.txt`.
    #[schemars(length(min = 1))]
    pub table: String,
    /// The columns to write, in this order. Default: all of the input.
    #[serde(default)]
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub columns: Option<Vec<String>>,
    /// What happens to existing rows.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"]))]
    pub mode: WriteMode,
    /// How many rows may be rejected before the step fails.
    #[serde(default)]
    pub max_rejects: u64,
}

/// What happens to existing rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// They stay.
    #[default]
    Append,
    /// They are replaced, all at once.
    Overwrite,
}

fn default_page_size() -> usize {
    1000
}

/// Rejects relative paths: they would mean one directory for a pipeline and another for discovery and the doctor, which
/// have no pipeline.
fn absolute_path<'de, D: Deserializer<'de>>(value: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(value)?;
    if path.is_absolute() { Ok(path) } else { Err(D::Error::custom("must be an absolute path")) }
}

/// Rejects a table outside of the connection's directory.
pub(crate) fn check_table(table: &str) -> Vec<Problem> {
    if table.contains(['/', '\\']) || table.starts_with('.') {
        return vec![
            Problem::error("/table", format!("invalid table `{table}`: expected a file name, not a path"))
                .with_hint("set `directory` in the connection"),
        ];
    }
    Vec::new()
}

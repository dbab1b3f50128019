//! The configuration of the components. The doc comments end up in the component reference. Nothing here
//! does I/O.

mod csv;
mod jsonl;
mod parquet;

use schemars::JsonSchema;
use serde::Deserialize;

pub use csv::{
    AddFilename, AllText, ColumnOrder, CsvExtractorConfig, CsvWriterConfig, Dtype, Header, Newline, OnBadLines,
    ParseDates, Quoting, ReadCompression, WriteColumns, WriteCompression,
};
pub use jsonl::{JsonlExtractorConfig, JsonlWriterConfig, Nulls};
pub use parquet::{ParquetCompression, ParquetExtractorConfig, ParquetWriterConfig};

/// The base directory of paths.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesystemConnection {
    /// The directory that all paths of the step are relative to and must stay in: a path outside it, by `..`, by a
    /// symbolic link or as an absolute path, is refused. Relative to the pipeline file. A step that also sets it uses a
    /// directory below the connection's. Default: paths are relative to the pipeline file and not restricted.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["root"], "x-override" = "narrowed"))]
    pub base_dir: Option<BaseDir>,
}

/// A directory, or several, each below the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BaseDir {
    /// One.
    One(String),
    /// From the outermost to the innermost.
    Nested(Vec<String>),
}

impl BaseDir {
    /// The directories, from the outermost to the innermost.
    pub fn directories(&self) -> &[String] {
        match self {
            Self::One(directory) => std::slice::from_ref(directory),
            Self::Nested(directories) => directories,
        }
    }
}

/// Whether the rows of a file are copied into the run's database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Materialize {
    /// They are read where they lie.
    #[default]
    View,
    /// They are copied.
    Table,
}

/// Why a file has no `upsert`.
const NO_KEYS: &str = "a file has no key by which a row could be found and replaced";

/// Why no line of a file is left out without a trace.
const NOT_DROPPED: &str = "no line is dropped: `reject` with `max_rejects` keeps bad lines in the rejects of the run";

/// How to handle an existing file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(from = "ModeName")]
pub enum WriteMode {
    /// It is replaced atomically.
    #[default]
    Overwrite,
    /// Rows are appended to it.
    Append,
}

/// The write mode, with the names of all writers.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ModeName {
    /// The file is replaced atomically.
    Overwrite,
    /// Alias of `overwrite`.
    Replace,
    /// Rows are appended to the file.
    Append,
    /// Alias of `append`.
    Insert,
}

impl From<ModeName> for WriteMode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Overwrite | ModeName::Replace => Self::Overwrite,
            ModeName::Append | ModeName::Insert => Self::Append,
        }
    }
}

fn yes() -> bool {
    true
}

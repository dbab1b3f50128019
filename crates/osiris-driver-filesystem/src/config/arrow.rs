//! The configuration of Arrow IPC files.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{NO_KEYS, ReplaceMode, WriteColumns};

/// Why there is no `append`.
const NOT_APPENDED: &str =
    "rows cannot be appended to an Arrow IPC file; `filesystem.parquet_writer` adds files to a directory";

/// Configuration of `filesystem.arrow_extractor`. Batches are read one at a time. Every value is read exactly, or the step fails with
/// the name of the column: timestamps with a time zone and times have microseconds, decimals up to 38 digits, and unions are refused.
/// Dictionaries become the values they stand for. Names that differ only by case are made unique, as in CSV.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrowExtractorConfig {
    /// A file, a directory (its `.arrow`, `.feather` and `.arrows` files, sorted by name) or a glob. `-` is the standard input. The
    /// file format (Feather version 2) and the stream format are told apart by their first bytes. All files have the columns of the
    /// first, with the same types.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The columns to read, in this order. Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// Maximum number of rows to read, over all files. Default: all.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// How the buffers of an Arrow IPC file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArrowCompression {
    /// LZ4 frames.
    #[default]
    Lz4,
    /// Zstandard.
    Zstd,
    /// Not compressed.
    None,
}

/// Configuration of `filesystem.arrow_writer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrowWriterConfig {
    /// The file. `-` is the standard output. A path that ends in `.arrows` gets the stream format, any other the file format, which is
    /// Feather version 2. UUIDs, bit strings and enumerations are written as text, 128-bit integers as DECIMAL(38,0).
    #[schemars(length(min = 1))]
    pub path: String,
    /// `overwrite` (default) or `replace` replaces the file.
    #[serde(default)]
    #[schemars(extend("x-refused-words" = {"upsert": NO_KEYS, "append": NOT_APPENDED}))]
    pub mode: ReplaceMode,
    /// The compression: `lz4` (default), `zstd`, `none`.
    #[serde(default)]
    pub compression: ArrowCompression,
    /// The columns in their order: `source` (default: as in the table), `sorted` (by name), or a list of columns.
    #[serde(default = "super::as_in_the_table")]
    pub columns: WriteColumns,
    /// Whether to create missing directories of the path. Default `true`.
    #[serde(default = "super::yes")]
    pub create_dirs: bool,
}

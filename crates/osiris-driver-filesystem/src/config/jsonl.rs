//! The configuration of files of JSON lines.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AddFilename, OnBadLines, ReadCompression};

/// Configuration of `filesystem.jsonl_extractor`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonlExtractorConfig {
    /// A file, a directory (its `.jsonl` and `.ndjson` files, compressed or not, sorted by name) or a glob such as
    /// `in/2024-*.jsonl`. `-` is the standard input. Each line is one JSON object in UTF-8; blank lines are skipped.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The keys to read, ignoring case; the others are left out. Columns are in the order in which the lines bring them.
    /// Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// Maximum number of rows to read, over all files. Default: all.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
    /// The types of some columns, such as `{id: VARCHAR, born: DATE, price: "DECIMAL(12,2)"}`, with the names of the CSV
    /// extractor: dates and times are read from ISO 8601, numbers from strings too. A value that its type cannot hold
    /// exactly is a bad line. A column that no line has is NULL. Default: types follow the values: a column whose values
    /// are of several types, objects or lists is JSON.
    #[serde(default)]
    pub dtype: Option<BTreeMap<String, String>>,
    /// The compression; `infer` (default) uses the extension.
    #[serde(default)]
    pub compression: ReadCompression,
    /// Maximum uncompressed size of a compressed file in bytes. Default: 200 times its size, and at least 4 GiB.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_uncompressed_bytes: Option<u64>,
    /// How to handle a line that is not one JSON object, has a key twice, or a value that does not fit its configured type:
    /// `error` (default), or `reject`, which stores the line in the rejects. Bytes that are not UTF-8 are always an error.
    #[serde(default)]
    pub on_bad_lines: OnBadLines,
    /// Maximum number of rejects. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// `true` adds a column `filename` with the path of the file of each row; a string sets the name of the column.
    /// Default `false`.
    #[serde(default)]
    pub add_filename: Option<AddFilename>,
}

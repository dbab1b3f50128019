//! The configuration of JSON documents.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AddFilename, NO_KEYS, Nulls, OnBadLines, ReadCompression, ReplaceMode, WriteColumns, WriteCompression};

/// Why there is no `append`.
const NOT_APPENDED: &str = "rows cannot be appended to a JSON array; `filesystem.jsonl_writer` appends lines";

/// Configuration of `filesystem.json_extractor`. The document is read as a stream: one element of its array is held at a time, and
/// what stands around the array, at most 256 MiB of each. A file with one object in each line is read by
/// `filesystem.jsonl_extractor`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonExtractorConfig {
    /// A file, a directory (its `.json` files, compressed or not, sorted by name) or a glob such as `in/2024-*.json`. `-` is the
    /// standard input. Each file is one JSON document in UTF-8.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Where the array of rows is: names that lead from the document to it, such as `data.items`. Default: the document is the array.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub data_path: Option<String>,
    /// The keys to read, ignoring case; the others are left out. Columns are in the order in which the elements bring them.
    /// Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// Maximum number of rows to read, over all files. Default: all.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
    /// The types of some columns, such as `{id: VARCHAR, born: DATE, price: "DECIMAL(12,2)"}`, as for `filesystem.jsonl_extractor`:
    /// a value that its type cannot hold exactly is a bad element. Default: types follow the values: a column whose values are of
    /// several types, objects or lists is JSON.
    #[serde(default)]
    pub dtype: Option<BTreeMap<String, String>>,
    /// The compression; `infer` (default) uses the extension.
    #[serde(default)]
    pub compression: ReadCompression,
    /// Maximum uncompressed size of a compressed file in bytes. Default: 200 times its size, and at least 4 GiB.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_uncompressed_bytes: Option<u64>,
    /// How to handle an element that is not an object, has a key twice or one with the character U+0000, or a value that does not
    /// fit its configured type: `error` (default), or `reject`, which stores the element with its number, from 1, in the rejects.
    /// What is not valid JSON or UTF-8 is always an error.
    #[serde(default)]
    pub on_bad_lines: OnBadLines,
    /// Maximum number of rejects. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// `true` adds a column `filename` with the path of the file of each row; a string sets the name of the column, which no
    /// key may have. Default `false`.
    #[serde(default)]
    pub add_filename: Option<AddFilename>,
}

/// Configuration of `filesystem.json_writer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonWriterConfig {
    /// The file, or with `max_rows_per_file` the directory. `-` is the standard output. The file is one array with an object for each
    /// row, each in a line of its own. Values are written as by `filesystem.jsonl_writer`.
    #[schemars(length(min = 1))]
    pub path: String,
    /// `overwrite` (default) or `replace` replaces the file.
    #[serde(default)]
    #[schemars(extend("x-refused-words" = {"upsert": NO_KEYS, "append": NOT_APPENDED}))]
    pub mode: ReplaceMode,
    /// NULL: `write` (default) writes `null`, `omit` leaves the key out.
    #[serde(default)]
    pub nulls: Nulls,
    /// The compression: `infer` (default: by the extension of the path, such as `.gz` or `.zst`), `none`, `gzip`, `bz2`, `zip`,
    /// `zstd`. A path whose extension is that of another compression is refused.
    #[serde(default)]
    pub compression: WriteCompression,
    /// The columns and the order of the keys: `source` (default: as in the table), `sorted` (by name), or a list of columns.
    #[serde(default = "super::as_in_the_table")]
    pub columns: WriteColumns,
    /// Whether to create missing directories of the path. Default `true`.
    #[serde(default = "super::yes")]
    pub create_dirs: bool,
    /// Maximum rows per file: the path is then a directory with `part-00001.json`, ... in it. Default: one file.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_rows_per_file: Option<u64>,
}

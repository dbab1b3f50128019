//! The configuration of files of JSON lines.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    AddFilename, NO_KEYS, NOT_DROPPED, OnBadLines, ReadCompression, WriteColumns, WriteCompression, WriteMode,
};

/// Configuration of `filesystem.jsonl_extractor`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonlExtractorConfig {
    /// A file, a directory (its `.jsonl` and `.ndjson` files, compressed or not, sorted by name) or a glob such as
    /// `in/2024-*.jsonl`. `-` is the standard input. The same in a store, such as `s3://bucket/in/*.jsonl`, or one file of a
    /// web server, `https://host/a.jsonl`: objects are downloaded first. Each line is one JSON object in UTF-8; blank lines are skipped.
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
    /// How to handle a line that is not one JSON object, has a key twice or one with the character U+0000, or a value that
    /// does not fit its configured type: `error` (default), or `reject`, which stores the line in the rejects. Bytes that are
    /// not UTF-8 are always an error.
    #[serde(default)]
    #[schemars(extend("x-refused-words" = {"skip": NOT_DROPPED, "warn": NOT_DROPPED}))]
    pub on_bad_lines: OnBadLines,
    /// Maximum number of rejects. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// `true` adds a column `filename` with the path of the file of each row; a string sets the name of the column, which no
    /// key may have. Default `false`.
    #[serde(default)]
    pub add_filename: Option<AddFilename>,
}

/// How NULL is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Nulls {
    /// As `null`.
    #[default]
    Write,
    /// Not at all: the line has no such key.
    Omit,
}

/// Configuration of `filesystem.jsonl_writer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonlWriterConfig {
    /// The file, or with `max_rows_per_file` the directory. `-` is the standard output. Or an object of a store, such as
    /// `s3://bucket/out.jsonl`, which is uploaded once it is written. Each row is one line: an object with
    /// a key for each column. Numbers have all their digits, points in time are written as `2024-01-31T12:00:00Z`, dates,
    /// times and timestamps by ISO 8601, bytes as `\x` and hexadecimal digits, lists, structs, maps and JSON as JSON. NaN and
    /// infinity are an error, and so is JSON with them or with trailing commas, which DuckDB accepts.
    #[schemars(length(min = 1))]
    pub path: String,
    /// `overwrite` (default) or `replace` replaces the file; `append` or `insert` adds rows to it.
    #[serde(default)]
    #[schemars(extend("x-refused-words" = {"upsert": NO_KEYS}))]
    pub mode: WriteMode,
    /// NULL: `write` (default) writes `null`, `omit` leaves the key out. A JSON column that holds the `null` of JSON has it
    /// written either way; read again, it is NULL.
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
    /// Maximum rows per file: the path is then a directory with `part-00001.jsonl`, ... in it. Default: one file.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_rows_per_file: Option<u64>,
}

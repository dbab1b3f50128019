//! The configuration of CSV files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Materialize, NO_KEYS, NOT_DROPPED, WriteMode};

/// The row with the column names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Header {
    /// `true`: the first row. `false`: none; columns are named `column0`, `column1`, ... or by `columns`.
    Present(bool),
    /// The number of the row with the names, from 0; rows before it are skipped. A quoted field may have line
    /// breaks: it is still one row. Blank lines and comments above the names count as rows.
    Row(u64),
}

impl Default for Header {
    fn default() -> Self {
        Self::Present(true)
    }
}

/// Types that are set rather than inferred.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dtype {
    /// `text`: every column is text, inference is off.
    All(AllText),
    /// Types by column name, such as `{id: VARCHAR, price: "DECIMAL(12,2)"}`; the other columns are inferred.
    Columns(BTreeMap<String, String>),
}

/// Disables inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllText {
    /// Every column is text.
    Text,
}

/// Columns that must be dates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ParseDates {
    /// None: dates are inferred. `true` and `false` are the same.
    Inferred(bool),
    /// Column names; their values must be ISO 8601 dates or timestamps.
    Columns(Vec<String>),
    /// Formats by column name, with the specifiers of `strptime`, such as `{born: "%d/%m/%Y"}`.
    Formats(BTreeMap<String, String>),
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadCompression {
    /// By the extension: `.gz`, `.bz2`, `.zip`, `.xz`, `.zst`; anything else is not compressed.
    #[default]
    Infer,
    /// Not compressed.
    None,
    /// gzip.
    Gzip,
    /// bzip2.
    Bz2,
    /// A zip archive with one file.
    Zip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

/// How to handle a bad line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBadLines {
    /// The step fails and names the line.
    #[default]
    Error,
    /// The line is kept in the step's rejects, up to `max_rejects` of them.
    Reject,
}

/// Whether and how to add the file name of each row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AddFilename {
    /// `true`: as a column `filename`.
    Switch(bool),
    /// As a column of this name.
    Named(String),
}

impl AddFilename {
    /// What to do where a file has a column of this name itself.
    pub(crate) const TAKEN: &'static str = "rename the column of file names: `add_filename: source_file`";

    /// The name of the column, if any.
    pub fn column(option: Option<&Self>) -> Option<&str> {
        match option {
            None | Some(Self::Switch(false)) => None,
            Some(Self::Switch(true)) => Some("filename"),
            Some(Self::Named(name)) => Some(name),
        }
    }
}

/// Configuration of `filesystem.csv_extractor`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvExtractorConfig {
    /// A file, a directory (its `.csv`, `.tsv` and `.txt` files, compressed or not, sorted by name) or a glob such as
    /// `in/2024-*.csv`. `-` is the standard input. The same in a store, such as `s3://bucket/in/*.csv`, or one file of a
    /// web server, `https://host/a.csv`: objects are downloaded first.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The field delimiter, one ASCII character. Default: `,`, or a tab for files ending in `.tsv`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["separator"]))]
    pub delimiter: Option<String>,
    /// The quote character: only `"` is supported. Default `"`.
    #[serde(default)]
    pub quotechar: Option<String>,
    /// The encoding: `utf-8` (default), `utf-16`, `latin-1`, `ascii`, or another name of the WHATWG Encoding Standard
    /// such as `windows-1250`. Invalid bytes are an error, never replaced.
    #[serde(default = "utf8")]
    pub encoding: String,
    /// Whether the first row has the column names (default `true`), or the number of the row that does, from 0: rows
    /// above it are skipped, counting blank lines and comments. A line break in quotes does not end a row. Empty and
    /// duplicate names are made unique with a warning, ignoring case: `a, A, , a` becomes `a`, `A_1`, `column2`, `a_2`;
    /// a name that the header already has is never given to another column. A file without a header is an error.
    #[serde(default)]
    pub header: Header,
    /// The columns to read, in this order. Default: all, in the order of the file. With `header: false`, the names of
    /// the columns.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// Lines to skip at the top of each file, before the header. A line break in quotes ends a line here.
    /// Default 0.
    #[serde(default)]
    pub skip_rows: u64,
    /// Maximum number of rows to read, over all files. Default: all.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Columns that must be dates: a list (ISO 8601), or formats by name such as `{born: "%d/%m/%Y"}`. Default: none;
    /// dates of ISO 8601 are inferred, as with `true` and `false`.
    #[serde(default)]
    pub parse_dates: Option<ParseDates>,
    /// `text` disables type inference; a mapping such as `{id: VARCHAR}` sets the types of some columns. Types are
    /// DuckDB's; `str`, `int64`, `float64`, `bool` and `datetime64` are also accepted. A value that its type cannot
    /// hold exactly is an error with line and column. Default: all types are inferred.
    #[serde(default)]
    pub dtype: Option<Dtype>,
    /// Strings that mean NULL besides the empty field, such as `[NA, "-"]`, quoted or not. Default: none.
    #[serde(default)]
    pub na_values: Vec<String>,
    /// Accepted for compatibility, without effect, with a warning: rows are streamed. Default: none.
    #[serde(default)]
    #[schemars(range(min = 1), extend("x-no-effect" = "rows are streamed"))]
    pub chunk_size: Option<u64>,
    /// Whether to skip empty lines. Default: yes, except in a file with one column, where an empty
    /// line is a NULL. With `false` an empty line is a row of NULLs.
    #[serde(default)]
    pub skip_blank_lines: Option<bool>,
    /// The comment character, one ASCII character: lines that begin with it are skipped. Default: none.
    #[serde(default)]
    pub comment: Option<String>,
    /// The compression; `infer` (default) uses the extension.
    #[serde(default)]
    pub compression: ReadCompression,
    /// Maximum uncompressed size of a compressed file in bytes. Default: 200 times its size, and at least 4 GiB.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_uncompressed_bytes: Option<u64>,
    /// How to handle a line with too many or too few fields, or a value that does not fit its configured type: `error`
    /// (default), or `reject`, which stores the line in the rejects.
    #[serde(default)]
    #[schemars(extend("x-refused-words" = {"skip": NOT_DROPPED, "warn": NOT_DROPPED}))]
    pub on_bad_lines: OnBadLines,
    /// Maximum number of rejects. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// `true` adds a column `filename` with the path of the file of each row; a string sets the name of the column.
    /// Default `false`.
    #[serde(default)]
    pub add_filename: Option<AddFilename>,
    /// Whether the rows are read from the files by every step that uses them (`view`), or copied into the run's database
    /// first (`table`), which is faster if many steps use them. A file that changes in between ends the run. Files that a
    /// step of the pipeline writes, that are compressed or not in UTF-8, or whose values are checked against configured
    /// types, are always copied. Default: `view`.
    #[serde(default)]
    pub materialize: Materialize,
}

/// Line endings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Newline {
    /// `\n`.
    #[default]
    Lf,
    /// `\r\n`.
    Crlf,
    /// `\r`.
    Cr,
}

/// Which fields are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quoting {
    /// Fields that would be misread without quotes.
    #[default]
    Minimal,
    /// All but NULL.
    All,
    /// All but numbers and NULL.
    Nonnumeric,
    /// None; a value that needs quotes is an error.
    None,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteCompression {
    /// By the extension: `.gz`, `.bz2`, `.zip`, `.zst`; anything else is not compressed.
    #[default]
    Infer,
    /// Not compressed.
    None,
    /// gzip, without name and timestamp.
    Gzip,
    /// bzip2.
    Bz2,
    /// A zip archive with one file, without timestamp.
    Zip,
    /// Zstandard.
    Zstd,
}

/// The columns to write, in order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum WriteColumns {
    /// All of them.
    Order(ColumnOrder),
    /// These, in this order.
    List(Vec<String>),
}

impl Default for WriteColumns {
    fn default() -> Self {
        Self::Order(ColumnOrder::Sorted)
    }
}

/// The order of all columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnOrder {
    /// By name.
    Sorted,
    /// As in the table.
    Source,
}

/// Configuration of `filesystem.csv_writer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvWriterConfig {
    /// The file, or with `max_rows_per_file` the directory. `-` is the standard output. Or an object of a store, such as
    /// `s3://bucket/out.csv`, which is uploaded once it is written.
    #[schemars(length(min = 1))]
    pub path: String,
    /// `overwrite` (default) or `replace` replaces the file; `append` or `insert` adds rows to it after checking its
    /// header.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"], "x-refused-words" = {"upsert": NO_KEYS}))]
    pub mode: WriteMode,
    /// The field delimiter, one ASCII character. Default: `,`, or a tab for a path ending in `.tsv`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["separator"]))]
    pub delimiter: Option<String>,
    /// The quote character: only `"` is supported. Default `"`.
    #[serde(default)]
    pub quotechar: Option<String>,
    /// The encoding, as for the extractor. A character that cannot be encoded is an error. Default `utf-8`.
    #[serde(default = "utf8")]
    pub encoding: String,
    /// Line endings: `lf` (default), `crlf`, `cr`.
    #[serde(default)]
    pub newline: Newline,
    /// Whether to write a header with the column names. Default `true`.
    #[serde(default = "super::yes")]
    #[schemars(extend("x-aliases" = ["include_header"]))]
    pub header: bool,
    /// Which fields are quoted: `minimal` (default), `all`, `nonnumeric`, `none`. NULL never is.
    #[serde(default)]
    pub quoting: Quoting,
    /// The text for NULL. Default: an empty field. The empty string is written as `""`.
    #[serde(default)]
    pub null_value: String,
    /// The format of dates and timestamps, with the specifiers of `strftime`. Default: ISO 8601 with a space,
    /// fractional seconds if any, `+00:00` after a timestamp in UTC.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub date_format: Option<String>,
    /// The compression: `infer` (default: by the extension of the path, such as `.gz` or `.zst`), `none`, `gzip`, `bz2`, `zip`,
    /// `zstd`. A path whose extension is that of another compression is refused.
    #[serde(default)]
    pub compression: WriteCompression,
    /// `sorted` (default: by name), `source` (as in the table), or a list of columns.
    #[serde(default)]
    pub columns: WriteColumns,
    /// Maximum rows that are formatted and written at a time. Default 65536.
    #[serde(default = "chunk_size")]
    #[schemars(range(min = 1))]
    pub chunk_size: u64,
    /// Whether to create missing directories of the path. Default `true`.
    #[serde(default = "super::yes")]
    pub create_dirs: bool,
    /// Maximum rows per file: the path is then a directory with `part-00001.csv`, ... in it.
    /// Default: one file.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_rows_per_file: Option<u64>,
}

fn utf8() -> String {
    "utf-8".to_owned()
}

fn chunk_size() -> u64 {
    65_536
}

//! The configuration of the four components, as pipelines write it. Doc comments here are the reference; nothing here
//! does I/O.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Where relative paths start, and the fence around them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesystemConnection {
    /// The directory that all paths of the step are relative to and must stay in: a path that leaves it, by `..`, by a
    /// symbolic link or by being absolute, is refused. Relative to the pipeline file. A step that sets it too names a directory
    /// below the connection's. Default: relative paths start at the pipeline file, and any path may be named.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["root"], "x-override" = "narrowed"))]
    pub base_dir: Option<BaseDir>,
}

/// A directory, or several of which each lies below the one before it.
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

/// Which line holds the column names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Header {
    /// `true`: the first row. `false`: none; columns are called `column0`, `column1`, ... or as `columns` says.
    Present(bool),
    /// The number of the row that holds the names, from 0; rows before it are skipped. A field in quotes may hold line
    /// breaks: the row is still one. Blank lines and comments above the names count as rows.
    Row(u64),
}

impl Default for Header {
    fn default() -> Self {
        Self::Present(true)
    }
}

/// Types that are stated rather than inferred.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dtype {
    /// `text`: every column is text, inference is off.
    All(AllText),
    /// Types by column name, such as `{id: VARCHAR, price: "DECIMAL(12,2)"}`; the other columns are inferred.
    Columns(BTreeMap<String, String>),
}

/// The one word that switches inference off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllText {
    /// Every column is text.
    Text,
}

/// Columns that must hold dates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ParseDates {
    /// None has to: dates are found by inference. `true` and `false` mean the same.
    Inferred(bool),
    /// Column names; their values must be ISO 8601 dates or timestamps.
    Columns(Vec<String>),
    /// Formats by column name, in the letters of `strptime`, such as `{born: "%d/%m/%Y"}`.
    Formats(BTreeMap<String, String>),
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadCompression {
    /// As the extension says: `.gz`, `.bz2`, `.zip`, `.xz`, `.zst`; anything else is not compressed.
    #[default]
    Infer,
    /// Not compressed.
    None,
    /// gzip.
    Gzip,
    /// bzip2.
    Bz2,
    /// A zip archive with one file in it.
    Zip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

/// What happens to a line that is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBadLines {
    /// The step fails and names the line.
    #[default]
    Error,
    /// The line is kept in the step's rejects, up to `max_rejects` of them.
    Reject,
}

/// Whether and how to add the name of the file a row came from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AddFilename {
    /// `true`: as a column `filename`.
    Switch(bool),
    /// As a column of this name.
    Named(String),
}

impl AddFilename {
    /// The name of the column, if one is wanted.
    pub fn column(option: Option<&Self>) -> Option<&str> {
        match option {
            None | Some(Self::Switch(false)) => None,
            Some(Self::Switch(true)) => Some("filename"),
            Some(Self::Named(name)) => Some(name),
        }
    }
}

/// What `filesystem.csv_extractor` reads and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvExtractorConfig {
    /// A file, a directory (its `.csv`, `.tsv` and `.txt` files, compressed or not, sorted by name) or a glob such as
    /// `in/2024-*.csv`. `-` is the standard input.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The character between fields, one of ASCII. Default: `,`, and the tab for files ending in `.tsv`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["separator"]))]
    pub delimiter: Option<String>,
    /// The character around fields that need one: `"`, and no other. Default `"`.
    #[serde(default)]
    pub quotechar: Option<String>,
    /// The encoding: `utf-8` (default), `utf-16`, `latin-1`, `ascii`, or another name of the WHATWG Encoding Standard such
    /// as `windows-1250`. Bytes that it does not allow are an error, never replaced.
    #[serde(default = "utf8")]
    pub encoding: String,
    /// Whether the first row holds the column names (default `true`), or the number of the row that does, from 0: rows above it
    /// are skipped, blank lines and comments counted. A line break in quotes does not end a row. Empty and repeated names are
    /// made unique with a warning, whatever their case: `a, A, , a` becomes `a`, `A_1`, `column2`, `a_2`; a name that the header
    /// has itself is never given to another column. A file without even a header is an error.
    #[serde(default)]
    pub header: Header,
    /// The columns to read, in this order. Default: all, in the order of the file. With `header: false` it names the
    /// columns instead.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// Lines to skip at the top of each file, before the header, whatever is on them: a line break in quotes ends a line here.
    /// Default 0.
    #[serde(default)]
    pub skip_rows: u64,
    /// Rows to read at most, over all files. Default: all.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Columns that must hold dates: a list (ISO 8601), or formats by name such as `{born: "%d/%m/%Y"}`. Default: none; dates of
    /// ISO 8601 are found by inference, as with `true` and `false`.
    #[serde(default)]
    pub parse_dates: Option<ParseDates>,
    /// `text` switches type inference off; a mapping such as `{id: VARCHAR}` states the types of some columns. Types are
    /// DuckDB's; `str`, `int64`, `float64`, `bool` and `datetime64` are known too. A value that its stated type cannot
    /// hold exactly is an error that names line and column. Default: all types are inferred.
    #[serde(default)]
    pub dtype: Option<Dtype>,
    /// Texts that mean NULL besides the empty field, such as `[NA, "-"]`, quoted or not. Default: none.
    #[serde(default)]
    pub na_values: Vec<String>,
    /// Accepted from older pipelines; has no effect, and a warning says so: rows are never held as chunks. Default: none.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub chunk_size: Option<u64>,
    /// Whether lines with nothing on them are left out. Default: they are, except in a file of one column, where such a
    /// line is a NULL. With `false` such a line is a row of NULLs.
    #[serde(default)]
    pub skip_blank_lines: Option<bool>,
    /// A character, one of ASCII: lines that begin with it are left out. Default: none.
    #[serde(default)]
    pub comment: Option<String>,
    /// The compression; `infer` (default) goes by the extension.
    #[serde(default)]
    pub compression: ReadCompression,
    /// How many bytes a compressed file may hold at most, uncompressed. Default: 200 times its size, and at least 4 GiB.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_uncompressed_bytes: Option<u64>,
    /// What to do with a line of too many or too few fields, or a value that a stated type refuses: `error` (default), or
    /// `reject`, which keeps the line in the rejects.
    #[serde(default)]
    pub on_bad_lines: OnBadLines,
    /// How many rejects the step may have. Default 0.
    #[serde(default)]
    pub max_rejects: u64,
    /// `true` adds a column `filename` with the path of the file each row came from; a text names the column. Default `false`.
    #[serde(default)]
    pub add_filename: Option<AddFilename>,
}

/// What `filesystem.parquet_extractor` reads and how. Every value arrives as it is, or the column is refused by its name. An INT96
/// is a TIMESTAMP, or a TIMESTAMP_NS where one has nanoseconds; a point in time of nanoseconds is one of microseconds if none is cut;
/// a decimal of more than 38 digits is a DECIMAL(38,s) if no value has more. Times of day with a zone or of nanoseconds, and
/// geometries, are text; an interval keeps its milliseconds. Names that differ by case alone are made unique, as in CSV.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParquetExtractorConfig {
    /// A file, a directory (all `.parquet` files below it, sorted by name) or a glob. Directories called `name=value` are
    /// hive partitions: columns of that name are added, in place of one that the files have. `__HIVE_DEFAULT_PARTITION__` is NULL.
    /// `-` is the standard input.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The columns to read, in this order. Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// A condition in SQL over the columns of the file, such as `year >= 2020`; only rows that meet it are read. Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// Rows to read at most, over all files. Default: all.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Types by column name that are not the file's, such as `{at: TIMESTAMP_NS, region: VARCHAR}`; names of types as for
    /// `filesystem.csv_extractor`. A column with a value that the type does not hold exactly is an error. Default: the types of
    /// the file, and for partitions those that every value is written in as it stands (`007` and `1.10` are text).
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub dtype: Option<BTreeMap<String, String>>,
}

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(from = "ModeName")]
pub enum WriteMode {
    /// It is replaced, at once and whole.
    #[default]
    Overwrite,
    /// It keeps its rows and gets more.
    Append,
}

/// The mode as pipelines write it: in the words of all writers.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ModeName {
    /// The file is replaced, at once and whole.
    Overwrite,
    /// Another name for `overwrite`.
    Replace,
    /// The file keeps its rows and gets more.
    Append,
    /// Another name for `append`.
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

/// How lines end.
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
    /// Those that would be read back otherwise.
    #[default]
    Minimal,
    /// All but NULL.
    All,
    /// All but numbers and NULL.
    Nonnumeric,
    /// None; a value that would need quotes is an error.
    None,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteCompression {
    /// Not at all.
    #[default]
    None,
    /// gzip, without name and time.
    Gzip,
    /// bzip2.
    Bz2,
    /// A zip archive with one file in it, without time.
    Zip,
    /// Zstandard.
    Zstd,
}

/// Which columns are written, and in which order.
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

/// What `filesystem.csv_writer` writes and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvWriterConfig {
    /// The file, or with `max_rows_per_file` the directory. `-` is the standard output.
    #[schemars(length(min = 1))]
    pub path: String,
    /// `overwrite` (default) or `replace` replaces the file; `append` or `insert` adds rows to it once its header is found to match.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"]))]
    pub mode: WriteMode,
    /// The character between fields, one of ASCII. Default: `,`, and the tab for a path ending in `.tsv`.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["separator"]))]
    pub delimiter: Option<String>,
    /// The character around fields that need one: `"`, and no other. Default `"`.
    #[serde(default)]
    pub quotechar: Option<String>,
    /// The encoding, as for the extractor. A character it lacks is an error. Default `utf-8`.
    #[serde(default = "utf8")]
    pub encoding: String,
    /// How lines end: `lf` (default), `crlf`, `cr`.
    #[serde(default)]
    pub newline: Newline,
    /// Whether the first line holds the column names. Default `true`.
    #[serde(default = "yes")]
    #[schemars(extend("x-aliases" = ["include_header"]))]
    pub header: bool,
    /// Which fields are quoted: `minimal` (default), `all`, `nonnumeric`, `none`. NULL never is.
    #[serde(default)]
    pub quoting: Quoting,
    /// What NULL is written as. Default: nothing. The empty text is written as `""`.
    #[serde(default)]
    pub null_value: String,
    /// The format of dates and timestamps, in the letters of `strftime`. Default: ISO 8601 with a space, fractions of
    /// seconds where there are any, `+00:00` behind a point in time.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub date_format: Option<String>,
    /// The compression: `none` (default), `gzip`, `bz2`, `zip`, `zstd`.
    #[serde(default)]
    pub compression: WriteCompression,
    /// `sorted` (default: by name), `source` (as in the table), or a list of columns.
    #[serde(default)]
    pub columns: WriteColumns,
    /// Rows that are formatted and handed to the disk at a time, at most. Default 65536.
    #[serde(default = "chunk_size")]
    #[schemars(range(min = 1))]
    pub chunk_size: u64,
    /// Whether missing directories of the path are made. Default `true`.
    #[serde(default = "yes")]
    pub create_dirs: bool,
    /// Splits the rows over files of at most so many: the path is then a directory with `part-00001.csv`, ... in it.
    /// Default: one file.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_rows_per_file: Option<u64>,
}

/// How column chunks of a Parquet file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParquetCompression {
    /// Zstandard.
    #[default]
    Zstd,
    /// Snappy.
    Snappy,
    /// gzip.
    Gzip,
    /// LZ4, the raw variant that all readers know.
    Lz4,
    /// Brotli.
    Brotli,
    /// Not at all.
    None,
}

/// What `filesystem.parquet_writer` writes and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParquetWriterConfig {
    /// The file, or with `partition_by` or `max_rows_per_file` the directory. `-` is the standard output.
    #[schemars(length(min = 1))]
    pub path: String,
    /// `overwrite` (default) or `replace` replaces what is there; `append` or `insert` keeps its rows: a file is written anew with the new rows behind
    /// the old ones, a directory gets further files.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"]))]
    pub mode: WriteMode,
    /// The compression: `zstd` (default), `snappy`, `gzip`, `lz4`, `brotli`, `none`.
    #[serde(default)]
    pub compression: ParquetCompression,
    /// The size of a row group in bytes, before compression, roughly. Default: 122,880 rows.
    #[serde(default)]
    #[schemars(range(min = 65536))]
    pub row_group_bytes: Option<u64>,
    /// Columns that become directories called `name=value`; they are left out of the files. NULL is `__HIVE_DEFAULT_PARTITION__`,
    /// and that text is written `%5F_HIVE_DEFAULT_PARTITION__`. Columns of bytes and nested ones are refused. Default: none.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub partition_by: Option<Vec<String>>,
    /// Splits the rows over files of at most so many, called `part-00001.parquet`, ... Default: one file, or one for each
    /// partition.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_rows_per_file: Option<u64>,
    /// Whether missing directories of the path are made. Default `true`.
    #[serde(default = "yes")]
    pub create_dirs: bool,
}

fn utf8() -> String {
    "utf-8".to_owned()
}

fn yes() -> bool {
    true
}

fn chunk_size() -> u64 {
    65_536
}

//! The configuration of Parquet files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Materialize, NO_KEYS, WriteMode};

/// Configuration of `filesystem.parquet_extractor`. Every value is read exactly, or the step fails with the name of the
/// column. An INT96 is a TIMESTAMP, or a TIMESTAMP_NS if a value has nanoseconds; a UTC timestamp with nanoseconds is
/// read with microseconds if that is exact; a decimal of more than 38 digits is a DECIMAL(38,s) if no value has more.
/// Times with an offset or nanoseconds, and geometries, are text; an interval keeps its milliseconds. Names that differ
/// only by case are made unique, as in CSV.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParquetExtractorConfig {
    /// A file, a directory (all `.parquet` files below it, sorted by name) or a glob. Directories named `name=value`
    /// are hive partitions: columns of that name are added, replacing those of the files. `__HIVE_DEFAULT_PARTITION__`
    /// is NULL. `-` is the standard input. The same in a store, such as `s3://bucket/in/*.parquet`, or one file of a web
    /// server, `https://host/a.parquet`: objects are downloaded first.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The columns to read, in this order. Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// A SQL condition on the columns of the file, such as `year >= 2020`; only matching rows are read. Default: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// Maximum number of rows to read, over all files. Default: all.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Types by column name instead of the file's, such as `{at: TIMESTAMP_NS, region: VARCHAR}`; type names as for
    /// `filesystem.csv_extractor`. A value that its type cannot hold exactly is an error. Default: the types of
    /// the file, and for partitions those that preserve the text of every value (`007` and `1.10` are text).
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub dtype: Option<BTreeMap<String, String>>,
    /// Whether the rows are read from the files by every step that uses them (`view`), or copied into the run's database
    /// first (`table`). A file that changes in between ends the run. Files that a step of the pipeline writes, and
    /// rows under a `filter` that calls `random()` or a clock, are always copied. Default: `view`.
    #[serde(default)]
    pub materialize: Materialize,
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
    /// Not compressed.
    None,
}

/// Configuration of `filesystem.parquet_writer`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParquetWriterConfig {
    /// The file, or with `partition_by` or `max_rows_per_file` the directory. `-` is the standard output. Or an object of a
    /// store, such as `s3://bucket/out.parquet`, which is uploaded once it is written.
    #[schemars(length(min = 1))]
    pub path: String,
    /// `overwrite` (default) or `replace` replaces existing data; `append` or `insert` keeps it: a file is rewritten
    /// with the new rows after the old ones, a directory gets more files.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["write_mode"], "x-refused-words" = {"upsert": NO_KEYS}))]
    pub mode: WriteMode,
    /// The compression: `zstd` (default), `snappy`, `gzip`, `lz4`, `brotli`, `none`.
    #[serde(default)]
    pub compression: ParquetCompression,
    /// The approximate size of a row group in bytes, before compression. Default: 122,880 rows.
    #[serde(default)]
    #[schemars(range(min = 65536))]
    pub row_group_bytes: Option<u64>,
    /// Columns that become directories named `name=value` and are not in the files. NULL is
    /// `__HIVE_DEFAULT_PARTITION__`, and that string is written as `%5F_HIVE_DEFAULT_PARTITION__`. Binary and nested
    /// columns are refused. Default: none.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub partition_by: Option<Vec<String>>,
    /// Maximum rows per file, named `part-00001.parquet`, ... Default: one file, or one for each
    /// partition.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_rows_per_file: Option<u64>,
    /// Whether to create missing directories of the path. Default `true`.
    #[serde(default = "super::yes")]
    pub create_dirs: bool,
}

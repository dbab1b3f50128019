//! The configuration of `mysql.extractor`. The doc comments end up in the component reference. No I/O.

use osiris_core::Problem;
use osiris_sql::config::{SourceFields, column_problems, fragment_problems};
use osiris_sql::guard::SqlDialect;
pub use osiris_sql::read::cursor::{Cursor, InitialCursor};
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of `mysql.extractor`: either `query` or `table`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractorConfig {
    /// One read-only statement: SELECT, WITH, TABLE, VALUES, SHOW, DESCRIBE or EXPLAIN. Default: none, and `table` is
    /// required.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The table or view to read, by its exact name. Default: none, and `query` is required.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// The schema (database) of `table`. Default: the connection's `database`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// The columns of `table` to read, in this order. Default: all but invisible ones.
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// A SQL condition on the rows of `table`, without WHERE. Default: none.
    #[serde(rename = "where")]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// The order of the rows of `table`, in SQL without ORDER BY. Default: unspecified.
    #[schemars(length(min = 1))]
    pub order_by: Option<String>,
    /// Maximum number of rows of `table` to read. Default: all.
    pub limit: Option<u64>,
    /// Number of rows of `table` to skip; only meaningful with `order_by`. Default: 0.
    #[serde(default)]
    pub offset: u64,
    /// Maximum rows per batch. A batch also ends at 16 MB.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 10_000_000), extend("x-source" = false))]
    pub batch_size: usize,
    /// Time limit for the first row, in seconds. After the first row, the limit for each wait is the
    /// connection's `read_timeout`.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    pub timeout: f64,
    /// An integer, DATE, DATETIME or TIMESTAMP column by which several connections read ranges in parallel, all in
    /// one snapshot. Rows where it is NULL are read too. Needs the privilege for a short lock: LOCK TABLES for
    /// a `table`, RELOAD for a `query`. The lock is requested for two seconds at a time, which blocks writers, up to
    /// `timeout` in total. Default: one connection.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub partition_by: Option<String>,
    /// Number of ranges. Default: 4.
    #[schemars(range(min = 2, max = 256), extend("x-source" = false))]
    pub partitions: Option<usize>,
    /// Reads only rows at or after the cursor value of the last run. Default: every run reads all rows.
    pub cursor: Option<Cursor>,
    /// How to verify that all rows arrived: `none`, `counts` (default) or `checksums`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub verify: Verify,
    /// The type of TINYINT(1): `int` (default) or `bool`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub tinyint1: Tinyint1,
    /// How to handle `0000-00-00`, dates without a month or day, and other invalid dates: `error` (default),
    /// `null` or `text`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub zero_dates: ZeroDates,
    /// How to handle a DECIMAL column of more than 38 digits: `error` (default) or `text`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub decimal_overflow: DecimalOverflow,
    /// The type of TIME: `interval` (default), `time` or `text`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub time: TimePolicy,
    /// The format of geometries: `binary` (default) or `wkt`.
    #[serde(default)]
    pub geometry: GeometryPolicy,
}

/// How to verify that all rows arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Not verified.
    None,
    /// Compares the server's count of the rows it sent with the rows that arrived, at no cost.
    #[default]
    Counts,
    /// Also compares the server's checksum of every column with that of the values that arrived. Reads the rows on the
    /// server again. For FLOAT, DOUBLE and geometries only NULLs are compared; with `cursor`, rows at the bounds of
    /// the range, which an earlier run may have read, are not.
    Checksums,
}

/// The type of TINYINT(1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tinyint1 {
    /// An integer.
    #[default]
    Int,
    /// A boolean; a value other than 0 and 1 is an error.
    Bool,
}

/// How to handle invalid dates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ZeroDates {
    /// The step fails and names the column.
    #[default]
    Error,
    /// They become NULL and are counted as changed.
    Null,
    /// All dates and timestamps become text, as the server prints them.
    Text,
}

/// How to handle a DECIMAL column of more than 38 digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecimalOverflow {
    /// The step fails before the first row and names the column.
    #[default]
    Error,
    /// The column becomes text.
    Text,
}

/// The type of TIME.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimePolicy {
    /// An interval, which may be negative and up to 838 hours.
    #[default]
    Interval,
    /// A time of day; other values are an error.
    Time,
    /// Text, as the server prints it.
    Text,
}

/// The format of geometries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GeometryPolicy {
    /// The server's format: four bytes of spatial reference id, then well-known binary.
    #[default]
    Binary,
    /// Well-known text, as ST_AsText returns it.
    Wkt,
}

fn default_batch_size() -> usize {
    10_000
}

fn default_timeout() -> f64 {
    30.0
}

impl ExtractorConfig {
    /// The problems that the JSON schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let fields = SourceFields {
            dialects: SqlDialect::MYSQL,
            query: self.query.as_deref(),
            table: self.table.as_deref(),
            table_fields: &[
                ("schema", self.schema.is_some()),
                ("columns", self.columns.is_some()),
                ("where", self.filter.is_some()),
                ("order_by", self.order_by.is_some()),
                ("limit", self.limit.is_some()),
                ("offset", self.offset > 0),
            ],
            order_fields: &["order_by", "limit", "offset"],
            partition_by: self.partition_by.as_deref(),
            partitions: self.partitions,
            cursor: self.cursor.as_ref(),
        };
        let mut problems = fields.problems();
        if self.query.is_none() {
            problems.extend(column_problems(self.columns.as_deref().unwrap_or_default(), false));
            let (condition, order_by) = (self.filter.as_deref(), self.order_by.as_deref());
            problems.extend(fragment_problems(SqlDialect::MYSQL, condition, order_by));
        }
        if self.verify == Verify::Checksums && self.zero_dates == ZeroDates::Null {
            problems.push(
                Problem::error("/verify", "compares with the server's values, which `zero_dates: null` changes")
                    .with_hint("set `verify: counts`, or `zero_dates: text`"),
            );
        }
        problems
    }
}

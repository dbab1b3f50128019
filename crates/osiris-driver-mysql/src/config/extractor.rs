//! The configuration of `mysql.extractor`, as pipelines write it. Doc comments here are the reference; nothing here does I/O.

use osiris_core::Problem;
use osiris_sql::config::{SourceFields, column_problems, fragment_problems};
use osiris_sql::guard::SqlDialect;
pub use osiris_sql::read::cursor::{Cursor, InitialCursor};
use schemars::JsonSchema;
use serde::Deserialize;

/// What `mysql.extractor` reads and how: a `query` or a `table`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractorConfig {
    /// One statement that reads: SELECT, WITH, TABLE, VALUES, SHOW, DESCRIBE or EXPLAIN. Default: none; then `table`.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The table or view to read, by its exact name. Default: none; then `query`.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// The schema (database) of `table`. Default: the connection's `database`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// The columns of `table` to read, in this order; invisible ones must be named. Default: all.
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// A condition in SQL on the rows of `table`, without the word WHERE. Default: none.
    #[serde(rename = "where")]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// The order to read the rows of `table` in, in SQL without ORDER BY. Default: as the server likes.
    #[schemars(length(min = 1))]
    pub order_by: Option<String>,
    /// How many rows of `table` to read at most. Default: all.
    pub limit: Option<u64>,
    /// How many rows of `table` to leave out first; needs `order_by` to mean anything. Default: 0.
    #[serde(default)]
    pub offset: u64,
    /// The most rows of a batch. Batches end earlier, at 16 MB.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 10_000_000), extend("x-source" = false))]
    pub batch_size: usize,
    /// How long the server may take until it sends the first row, in seconds. How long it may be silent later is the
    /// connection's `read_timeout`.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    pub timeout: f64,
    /// An integer, DATE, DATETIME or TIMESTAMP column, by whose ranges several connections read at the same time, all of
    /// them one consistent view. Rows where it is NULL are read too. Needs the right to lock for an instant: LOCK TABLES for
    /// a `table`, RELOAD for a `query`. The lock is waited for in turns of two seconds, for which writers wait too, up to
    /// `timeout` in all. Default: one connection.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub partition_by: Option<String>,
    /// How many ranges. Default: 4.
    #[schemars(range(min = 2, max = 256), extend("x-source" = false))]
    pub partitions: Option<usize>,
    /// Reads only rows whose cursor column is at or after the last run's. Default: every run reads all rows.
    pub cursor: Option<Cursor>,
    /// How to prove that all rows arrived: `none`, `counts` (default) or `checksums`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub verify: Verify,
    /// What a TINYINT(1) is: `int` (default) or `bool`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub tinyint1: Tinyint1,
    /// What becomes of `0000-00-00`, of dates without a month or day, and of days that no calendar has: `error` (default),
    /// `null` or `text`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub zero_dates: ZeroDates,
    /// What becomes of a DECIMAL column of more than 38 digits: `error` (default) or `text`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub decimal_overflow: DecimalOverflow,
    /// What a TIME is: `interval` (default), `time` or `text`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub time: TimePolicy,
    /// What a geometry is: `binary` (default) or `wkt`.
    #[serde(default)]
    pub geometry: GeometryPolicy,
}

/// How to prove that all rows arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// No.
    None,
    /// The server's own count of the rows that it sent is compared with those that arrived. Costs nothing.
    #[default]
    Counts,
    /// The same, and the server's own checksum of every column is compared with that of the values that arrived. Reads the rows on the
    /// server once more. Of FLOAT, DOUBLE and geometries only the NULLs are compared, and with `cursor` no rows at the ends of
    /// the range, which may have been taken before.
    Checksums,
}

/// What a TINYINT(1) is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tinyint1 {
    /// A number.
    #[default]
    Int,
    /// A boolean; a number besides 0 and 1 is an error.
    Bool,
}

/// What becomes of dates that are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ZeroDates {
    /// The step fails and names the column.
    #[default]
    Error,
    /// They become NULL, and are counted as altered.
    Null,
    /// All dates and times with a date become text, as the server prints them.
    Text,
}

/// What becomes of a DECIMAL column of more than 38 digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecimalOverflow {
    /// The step fails before the first row and names the column.
    #[default]
    Error,
    /// The column becomes text.
    Text,
}

/// What a TIME is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimePolicy {
    /// An interval: it may be negative and up to 838 hours.
    #[default]
    Interval,
    /// A time of day; one that is none is an error.
    Time,
    /// Text, as the server prints it.
    Text,
}

/// What a geometry is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GeometryPolicy {
    /// The server's bytes: four of the spatial reference id, then well-known binary.
    #[default]
    Binary,
    /// Well-known text, as the server's ST_AsText makes it.
    Wkt,
}

fn default_batch_size() -> usize {
    10_000
}

fn default_timeout() -> f64 {
    30.0
}

impl ExtractorConfig {
    /// The problems that the schema cannot express. Pure.
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
                Problem::error("/verify", "compares with the server's values, which `zero_dates: null` alters")
                    .with_hint("set `verify: counts`, or `zero_dates: text`"),
            );
        }
        problems
    }
}

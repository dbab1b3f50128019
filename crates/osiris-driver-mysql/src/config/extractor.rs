//! The configuration of `mysql.extractor`. The doc comments end up in the component reference. No I/O.

use osiris_core::Problem;
pub use osiris_sql::config::DecimalOverflow;
use osiris_sql::config::{QueryFields, ReadFields};
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
    /// The schema (database) of `table`. Default: the connection's `database`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// The table and its parts.
    #[serde(flatten)]
    pub read: ReadFields,
    /// Time limit for the first row, in seconds. After the first row, the limit for each wait is the
    /// connection's `read_timeout`.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    pub timeout: f64,
    /// Time limit of a statement on the server, in seconds, including the time for which it waits for its rows to be taken:
    /// MySQL's `max_execution_time` (<https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_max_execution_time>),
    /// MariaDB's `max_statement_time` (<https://mariadb.com/kb/en/server-system-variables/#max_statement_time>). At the limit the
    /// server ends the statement, and the attempt fails with a timeout, which is retried. Default: none, besides those that
    /// the server and the account have.
    #[schemars(range(min = 0.001, max = 2_000_000.0), extend("x-source" = false))]
    pub statement_timeout: Option<f64>,
    /// An integer, DATE, DATETIME or TIMESTAMP column by which several connections read ranges in parallel, all in
    /// one snapshot. Rows where it is NULL are read too. Needs the privilege for a short lock: LOCK TABLES for
    /// a `table`, RELOAD for a `query`. The lock is requested for two seconds at a time, which blocks writers, up to
    /// `timeout` in total. Default: one connection.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub partition_by: Option<String>,
    /// Number of ranges. Default: 4.
    #[schemars(range(min = 2, max = 256), extend("x-source" = false))]
    pub partitions: Option<usize>,
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

fn default_timeout() -> f64 {
    30.0
}

impl ExtractorConfig {
    /// The problems that the JSON schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let query = QueryFields {
            dialects: SqlDialect::MYSQL,
            query: self.query.as_deref(),
            partition_by: self.partition_by.as_deref(),
            partitions: self.partitions,
        };
        let mut problems = self.read.problems(query, self.schema.is_some(), false);
        if self.verify == Verify::Checksums && self.zero_dates == ZeroDates::Null {
            problems.push(
                Problem::error("/verify", "compares with the server's values, which `zero_dates: null` changes")
                    .with_hint("set `verify: counts`, or `zero_dates: text`"),
            );
        }
        problems
    }
}

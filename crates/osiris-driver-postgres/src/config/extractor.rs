//! The configuration of `postgres.extractor`.

use osiris_core::Problem;
use osiris_sql::config::{SourceFields, column_problems, fragment_problems};
use osiris_sql::guard::SqlDialect;
use osiris_sql::read::cursor::Cursor;
use schemars::JsonSchema;
use serde::Deserialize;

use super::policies::{DecimalOverflow, InfinityPolicy, IntervalPolicy, NumericPolicy, Policies};

/// Configuration of `postgres.extractor`: either `query` or `table`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExtractorConfig {
    /// One read-only statement: SELECT, WITH, TABLE, VALUES, SHOW or EXPLAIN. Default: none, and `table` is required.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The table or view to read, by its exact name. Default: none, and `query` is required.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// The schema of `table`. Default: `public`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// The columns of `table` to read, in this order. Default: all.
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// A SQL condition on the rows of `table`, without WHERE. Default: none.
    #[serde(rename = "where")]
    #[schemars(length(min = 1))]
    pub condition: Option<String>,
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
    /// Time limit for the first row, in seconds. Default: the connection's `timeout`, which is also
    /// the limit for each later wait.
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    pub timeout: Option<f64>,
    /// Statement timeout on the server, in seconds. Default: no limit, whatever the setting of the role
    /// is.
    #[schemars(range(min = 0.001, max = 2_000_000.0), extend("x-source" = false))]
    pub statement_timeout: Option<f64>,
    /// An integer, date or timestamp column by which several connections read ranges in parallel, in one snapshot. Rows
    /// where it is NULL are read too. Default: one connection.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub partition_by: Option<String>,
    /// Number of ranges. Default: 4.
    #[schemars(range(min = 2, max = 256), extend("x-source" = false))]
    pub partitions: Option<usize>,
    /// Reads only rows at or after the cursor value of the last run. Default: every run reads all rows.
    pub cursor: Option<Cursor>,
    /// The type of NUMERIC: `decimal` (default) or `text`.
    #[serde(default)]
    pub numeric: NumericPolicy,
    /// Scale of NUMERIC columns without a declared one: they become DECIMAL(38, `numeric_scale`); a value
    /// with more decimal places is an error. Default: such columns become text.
    #[schemars(range(max = 38))]
    pub numeric_scale: Option<u8>,
    /// How to handle a NUMERIC column of more than 38 digits: `error` (default) or `text`.
    #[serde(default)]
    pub decimal_overflow: DecimalOverflow,
    /// The type of INTERVAL: `interval` (default) or `text`.
    #[serde(default)]
    pub interval: IntervalPolicy,
    /// How to handle `infinity` and `-infinity` in dates and timestamps: `keep` (default), `null` or `error`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub infinity: InfinityPolicy,
}

fn default_batch_size() -> usize {
    10_000
}

impl ExtractorConfig {
    /// How to handle types without an exact counterpart.
    pub(crate) fn policies(&self) -> Policies {
        Policies {
            numeric: self.numeric,
            numeric_scale: self.numeric_scale,
            decimal_overflow: self.decimal_overflow,
            interval: self.interval,
            infinity: self.infinity,
        }
    }

    /// The problems that the JSON schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let fields = SourceFields {
            dialects: SqlDialect::POSTGRES,
            query: self.query.as_deref(),
            table: self.table.as_deref(),
            table_fields: &[
                ("schema", self.schema.is_some()),
                ("columns", self.columns.is_some()),
                ("where", self.condition.is_some()),
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
            problems.extend(column_problems(self.columns.as_deref().unwrap_or_default(), true));
            let (condition, order_by) = (self.condition.as_deref(), self.order_by.as_deref());
            problems.extend(fragment_problems(SqlDialect::POSTGRES, condition, order_by));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(config: Value) -> Vec<String> {
        let config: ExtractorConfig = serde_json::from_value(config).unwrap();
        config.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_table_or_a_query_is_read() {
        assert_eq!(problems(json!({"table": "orders", "where": "id > 5", "order_by": "id"})), Vec::<String>::new());
        assert_eq!(problems(json!({})).len(), 1);
        assert_eq!(problems(json!({"table": "t", "query": "SELECT 1"})).len(), 1);
        assert_eq!(problems(json!({"query": "SELECT 1", "limit": 3, "columns": ["a"]})).len(), 2);
    }

    #[test]
    fn a_fragment_cannot_do_more_than_read() {
        let found = problems(json!({"table": "t", "where": "true; DROP TABLE t"}));
        assert!(found.len() == 1 && found[0].starts_with("where: "), "{found:?}");
    }
}

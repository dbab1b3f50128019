//! The configuration of `postgres.extractor`.

use osiris_core::Problem;
use osiris_sql::config::{SourceFields, column_problems, fragment_problems};
use osiris_sql::guard::SqlDialect;
use osiris_sql::read::cursor::Cursor;
use schemars::JsonSchema;
use serde::Deserialize;

use super::policies::{DecimalOverflow, InfinityPolicy, IntervalPolicy, NumericPolicy, Policies};

/// What `postgres.extractor` reads and how: a `query` or a `table`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExtractorConfig {
    /// One statement that reads: SELECT, WITH, TABLE, VALUES, SHOW or EXPLAIN. Default: none; then `table`.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The table or view to read, by its exact name. Default: none; then `query`.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// The schema of `table`. Default: `public`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// The columns of `table` to read, in this order. Default: all.
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// A condition in SQL on the rows of `table`, without the word WHERE. Default: none.
    #[serde(rename = "where")]
    #[schemars(length(min = 1))]
    pub condition: Option<String>,
    /// The order to read the rows of `table` in, in SQL without ORDER BY. Default: unspecified.
    #[schemars(length(min = 1))]
    pub order_by: Option<String>,
    /// How many rows of `table` to read at most. Default: all.
    pub limit: Option<u64>,
    /// How many rows of `table` to skip first; needs `order_by` to mean anything. Default: 0.
    #[serde(default)]
    pub offset: u64,
    /// The most rows of a batch. Batches end earlier, at 16 MB.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 10_000_000), extend("x-source" = false))]
    pub batch_size: usize,
    /// How long the server may take until it sends the first row, in seconds. Default: the connection's `timeout`, which is also
    /// how long the server may be silent later.
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    pub timeout: Option<f64>,
    /// How long a statement may run in the server, in seconds: the server ends it then. Default: no limit, whatever the role's own
    /// is.
    #[schemars(range(min = 0.001, max = 2_000_000.0), extend("x-source" = false))]
    pub statement_timeout: Option<f64>,
    /// An integer, date or timestamp column, by whose ranges several connections read in parallel, all of them one snapshot. Rows
    /// where it is NULL are read too. Default: one connection.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub partition_by: Option<String>,
    /// How many ranges. Default: 4.
    #[schemars(range(min = 2, max = 256), extend("x-source" = false))]
    pub partitions: Option<usize>,
    /// Reads only rows whose cursor column is at or after the last run's. Default: every run reads all rows.
    pub cursor: Option<Cursor>,
    /// What a NUMERIC is: `decimal` (default) or `text`.
    #[serde(default)]
    pub numeric: NumericPolicy,
    /// Digits behind the point for NUMERIC columns that do not say how many they have: they become DECIMAL(38, this); a value
    /// with more is an error. Default: such columns become text.
    #[schemars(range(max = 38))]
    pub numeric_scale: Option<u8>,
    /// What becomes of a NUMERIC column of more than 38 digits: `error` (default) or `text`.
    #[serde(default)]
    pub decimal_overflow: DecimalOverflow,
    /// What an INTERVAL is: `interval` (default) or `text`.
    #[serde(default)]
    pub interval: IntervalPolicy,
    /// What becomes of `infinity` and `-infinity` in dates and timestamps: `keep` (default), `null` or `error`.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub infinity: InfinityPolicy,
}

fn default_batch_size() -> usize {
    10_000
}

impl ExtractorConfig {
    /// What becomes of values whose type has no exact counterpart.
    pub(crate) fn policies(&self) -> Policies {
        Policies {
            numeric: self.numeric,
            numeric_scale: self.numeric_scale,
            decimal_overflow: self.decimal_overflow,
            interval: self.interval,
            infinity: self.infinity,
        }
    }

    /// The problems that the schema cannot express. Pure.
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

//! The configuration of `postgres.extractor`.

use osiris_core::Problem;
use osiris_sql::config::{QueryFields, ReadFields};
use osiris_sql::guard::SqlDialect;
use schemars::JsonSchema;
use serde::Deserialize;

use super::policies::Policies;

/// Configuration of `postgres.extractor`: either `query` or `table`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExtractorConfig {
    /// One read-only statement: SELECT, WITH, TABLE, VALUES, SHOW or EXPLAIN. Default: none, and `table` is required.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The schema of `table`. Default: `public`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// The table and its parts.
    #[serde(flatten)]
    pub read: ReadFields,
    /// Time limit for the first row, in seconds. Default: the connection's `timeout`, which is also
    /// the limit for each later wait.
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    pub timeout: Option<f64>,
    /// Time limit of a statement on the server, in seconds: PostgreSQL's
    /// `statement_timeout` (<https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT>). At the
    /// limit the server ends the statement, and the attempt fails with a timeout, which is retried. Default: no limit, whatever
    /// the setting of the role is.
    #[schemars(range(min = 0.001, max = 2_000_000.0), extend("x-source" = false))]
    pub statement_timeout: Option<f64>,
    /// An integer, date or timestamp column by which several connections read ranges in parallel, in one snapshot. Rows
    /// where it is NULL are read too. Default: one connection.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub partition_by: Option<String>,
    /// Number of ranges. Default: 4.
    #[schemars(range(min = 2, max = 256), extend("x-source" = false))]
    pub partitions: Option<usize>,
    /// How to handle types without an exact counterpart.
    #[serde(flatten)]
    pub policies: Policies,
}

impl ExtractorConfig {
    /// The problems that the JSON schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let query = QueryFields {
            dialects: SqlDialect::POSTGRES,
            query: self.query.as_deref(),
            partition_by: self.partition_by.as_deref(),
            partitions: self.partitions,
        };
        self.read.problems(query, self.schema.is_some(), true)
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

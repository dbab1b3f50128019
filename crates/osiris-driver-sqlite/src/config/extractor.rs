//! The configuration of `sqlite.extractor`.

use osiris_core::Problem;
use osiris_sql::config::{SourceFields, column_problems, fragment_problems};
use osiris_sql::guard::SqlDialect;
use osiris_sql::read::cursor::Cursor;
use schemars::JsonSchema;
use serde::Deserialize;

/// What `sqlite.extractor` reads and how: a `query` or a `table`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExtractorConfig {
    /// One statement that reads: SELECT, WITH or VALUES. Default: none; then `table`.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The table or view to read. Default: none; then `query`.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
    /// The columns of `table` to read, in this order. Default: all.
    #[schemars(length(min = 1))]
    pub columns: Option<Vec<String>>,
    /// A condition in SQL on the rows of `table`, without the word WHERE. Default: none.
    #[serde(rename = "where")]
    #[schemars(length(min = 1))]
    pub filter: Option<String>,
    /// The order to read the rows of `table` in, in SQL without ORDER BY. Default: any.
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
    /// Reads only rows whose cursor column is at or after the last run's. Default: every run reads all rows.
    pub cursor: Option<Cursor>,
}

impl ExtractorConfig {
    /// The problems that the schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let fields = SourceFields {
            dialects: SqlDialect::SQLITE,
            query: self.query.as_deref(),
            table: self.table.as_deref(),
            table_fields: &[
                ("columns", self.columns.is_some()),
                ("where", self.filter.is_some()),
                ("order_by", self.order_by.is_some()),
                ("limit", self.limit.is_some()),
                ("offset", self.offset > 0),
            ],
            order_fields: &["order_by", "limit", "offset"],
            partition_by: None,
            partitions: None,
            cursor: self.cursor.as_ref(),
        };
        let mut problems = fields.problems();
        if self.query.is_none() {
            problems.extend(column_problems(self.columns.as_deref().unwrap_or_default(), false));
            let (condition, order_by) = (self.filter.as_deref(), self.order_by.as_deref());
            problems.extend(fragment_problems(SqlDialect::SQLITE, condition, order_by));
        }
        problems
    }
}

fn default_batch_size() -> usize {
    10_000
}

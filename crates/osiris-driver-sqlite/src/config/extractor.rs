//! The configuration of `sqlite.extractor`.

use osiris_core::Problem;
use osiris_sql::config::{QueryFields, ReadFields};
use osiris_sql::guard::SqlDialect;
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
    /// The table and its parts.
    #[serde(flatten)]
    pub read: ReadFields,
}

impl ExtractorConfig {
    /// The problems that the schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let (dialects, query) = (SqlDialect::SQLITE, self.query.as_deref());
        self.read.problems(QueryFields { dialects, query, ..QueryFields::default() }, false, false)
    }
}

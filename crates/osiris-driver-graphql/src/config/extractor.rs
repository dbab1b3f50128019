//! What to read: the configuration of `graphql.extractor`, as pipelines write it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::pagination::{PageStyle, Pagination};

/// `graphql.extractor`: the rows of a query, page by page.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractorConfig {
    /// The query. It is parsed before anything is sent; a mutation or a subscription is refused.
    #[schemars(length(min = 1))]
    pub query: String,
    /// Which operation of the query to run. Default: the only one.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// The values of the query's variables. Default: none. Those of the pagination are set by the extractor.
    #[serde(default)]
    pub variables: Map<String, Value>,
    /// Where the rows are in the response: names with dots (`data.users.nodes`) or a JSONPath by RFC 9535
    /// (`$.data.users.edges[*].node`). A list there is rows, an object is one row.
    #[serde(default = "data")]
    #[schemars(length(min = 1))]
    pub data_path: String,
    /// How to get from one page to the next. Default: one request and no more.
    #[serde(default)]
    pub pagination: Option<Pagination>,
    /// Whether objects of which the query selects fields become columns `a.b`; lists, and objects in a field without a
    /// selection (a JSON scalar), are always JSON. Without it all objects are JSON.
    #[serde(default = "yes")]
    pub flatten_result: bool,
    /// How often a request is sent again after a temporary failure.
    #[serde(default = "retries")]
    #[schemars(range(min = 0, max = 10))]
    pub max_retries: u32,
    /// How long to wait before the first repetition, in seconds. The wait doubles each time, unless the server says how
    /// long to wait.
    #[serde(default = "delay")]
    #[schemars(range(min = 0.1, max = 60.0))]
    pub retry_delay: f64,
    /// What to do when a response has data and errors. Default: fail.
    #[serde(default)]
    pub partial_errors: PartialErrors,
    /// What to do with an item that is null where a row should be, or lacks what `data_path` names. Default: fail.
    #[serde(default)]
    pub null_items: NullItems,
    /// What to do when a list inside of a row is cut: it says that it has a next page, which is not fetched, or counts more items than
    /// came, or is as long as the limit in the query. Default: warn.
    #[serde(default)]
    pub nested_pages: NestedPages,

    /// Whether there is more than one page, with the other fields `pagination_*`. Default: true when one of them is given.
    /// Better: `pagination`.
    #[serde(default)]
    pub pagination_enabled: Option<bool>,
    /// The same as `pagination.style`. Default: cursor.
    #[serde(default)]
    pub pagination_style: Option<PageStyle>,
    /// The same as `pagination.path`. Default: found in the query.
    #[serde(default)]
    pub pagination_path: Option<String>,
    /// The same as `pagination.cursor_field`. Default: `endCursor`.
    #[serde(default)]
    pub pagination_cursor_field: Option<String>,
    /// The same as `pagination.has_next_field`. Default: `hasNextPage`.
    #[serde(default)]
    pub pagination_has_next_field: Option<String>,
    /// The same as `pagination.variable`. Default: `after`, `offset` or `page`, by the style.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["pagination_variable_name"]))]
    pub pagination_variable: Option<String>,
    /// The same as `pagination.page_size_variable`. Default: none.
    #[serde(default)]
    pub pagination_page_size_variable: Option<String>,
    /// The same as `pagination.page_size`. Default: 1000.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000))]
    pub pagination_page_size: Option<u64>,
    /// The same as `pagination.max_pages`. Default: 0, all pages.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["max_pages"]))]
    pub pagination_max_pages: Option<u64>,
}

/// What to do when a response has data and errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartialErrors {
    /// The step fails and keeps nothing.
    #[default]
    Fail,
    /// The rows of the response are kept; the errors are logged and counted. An item that is null because of one of them is left out
    /// and counted as ignored. Errors that concern all rows, by their `path` or because there are no rows, fail as before.
    Warn,
}

/// What to do with an item that is null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NullItems {
    /// The step fails and keeps nothing.
    #[default]
    Fail,
    /// It is left out, logged and counted as ignored: rows read = rows stored + rows ignored.
    Skip,
}

/// What to do with a list inside of a row that is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NestedPages {
    /// It is logged, and the rows concerned are counted in the metric `rows_truncated`.
    #[default]
    Warn,
    /// The step fails and keeps nothing. A query that does not show whether a list is complete is refused: select
    /// `pageInfo { hasNextPage }` or `totalCount` in it, or give it a limit. A response that has null there fails as well.
    Fail,
}

fn data() -> String {
    "data".to_owned()
}

const fn yes() -> bool {
    true
}

const fn retries() -> u32 {
    3
}

const fn delay() -> f64 {
    1.0
}

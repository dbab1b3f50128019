//! The configuration of `supabase.extractor`. The doc comments end up in the component reference. No
//! I/O.

use osiris_core::Problem;
use osiris_driver_postgres::Policies;
pub use osiris_driver_postgres::{DecimalOverflow, InfinityPolicy, IntervalPolicy, NumericPolicy};
use osiris_sql::config::SourceFields;
use osiris_sql::guard::SqlDialect;
pub use osiris_sql::read::cursor::{Cursor, InitialCursor};
use osiris_sql::write::Columns;
use schemars::JsonSchema;
use serde::Deserialize;

use super::SupabaseConnection;
pub use crate::filter::{Filter, Order, Select};

/// Configuration of `supabase.extractor`: `table`, or over the direct channel `query`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractorConfig {
    /// One read-only statement: SELECT, WITH, TABLE, VALUES, SHOW or EXPLAIN. Needs the direct channel. Default:
    /// none, and `table` is required.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The table or view to read, by its exact name. Default: none, and `query` is required.
    #[schemars(length(min = 1), extend("x-aliases" = ["table_name", "source_table", "from_table"]))]
    pub table: Option<String>,
    /// The schema of `table`. Default: the connection's `schema`, else `public`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// In the place of `table`, patterns of the tables to read, each by a step of its own. Beside `table` or `query` accepted for
    /// compatibility, without effect, with a warning: discovery reads the tables from the server. Default: none.
    #[schemars(extend("x-source" = false, "x-no-effect" = "discovery reads the tables from the server"))]
    pub tables: Option<Vec<String>>,
    /// The columns of `table` to read, in PostgREST syntax: `id,name`, `full:name`, `price::text`, `data->>key`, over
    /// REST also embedded resources such as `*,customer:customers(name,email)`. Default: `*`, all.
    #[schemars(extend("x-aliases" = ["columns"]))]
    pub select: Option<Select>,
    /// The rows of `table` to read: PostgREST conditions by column, such as `{status: eq.completed, age: gte.18}`. All
    /// of them must hold. Default: all rows.
    #[schemars(extend("x-aliases" = ["filters"]))]
    pub filter: Option<Filter>,
    /// The order of the rows of `table`: `created_at.desc,id`. Default: unspecified; over REST by the key.
    #[schemars(extend("x-aliases" = ["order_by"]))]
    pub order: Option<Order>,
    /// Maximum number of rows of `table` to read. Default: all.
    pub limit: Option<u64>,
    /// Number of rows of `table` to skip; only meaningful with `order`. Default: 0.
    #[serde(default)]
    pub offset: u64,
    /// Unique columns of `table` by which REST pages are read, for a view without a primary key. Default: the
    /// table's primary key.
    pub key: Option<Columns>,
    /// Rows per page over REST. The server may return fewer; pages are read until all rows have arrived.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 1_000_000), extend("x-source" = false))]
    pub page_size: u64,
    /// Number of retries of a REST request. Default: the connection's `retries`, else at least 3, and as many as fit into
    /// 90 s.
    #[schemars(range(max = 100), extend("x-source" = false))]
    pub retries: Option<u32>,
    /// Time limit for the first row, or over REST for a response, in seconds. Default: the
    /// connection's `timeout`, which is also the limit for each later wait.
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    pub timeout: Option<f64>,
    /// Time limit of a statement on the server over the direct channel, in seconds: PostgreSQL's
    /// `statement_timeout` (<https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT>). At the
    /// limit the server ends the statement, and the attempt fails with a timeout, which is retried. Default: no limit, whatever
    /// the setting of the role is.
    #[schemars(range(min = 0.001, max = 2_000_000.0), extend("x-source" = false))]
    pub statement_timeout: Option<f64>,
    /// Maximum rows per batch over the direct channel. A batch also ends at 16 MB.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 10_000_000), extend("x-source" = false))]
    pub batch_size: usize,
    /// An integer, date or timestamp column by which several connections read ranges in parallel, in one snapshot.
    /// Rows where it is NULL are read too. Needs the direct channel. Default: one connection.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub partition_by: Option<String>,
    /// Number of ranges. Default: 4.
    #[schemars(range(min = 2, max = 256), extend("x-source" = false))]
    pub partitions: Option<usize>,
    /// Reads only rows at or after the cursor value of the last run. Default: every run reads all rows.
    pub cursor: Option<Cursor>,
    /// Whether to verify that all rows arrived: `none`, or `counts` (default).
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub verify: Verify,
    /// How to handle types without an exact counterpart.
    #[serde(flatten)]
    pub policies: Policies,
}

/// Whether to verify that all rows arrived. Over the direct channel the end marker of the stream always proves it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Not verified.
    None,
    /// Over REST the server's row count is compared with the rows that arrived.
    #[default]
    Counts,
}

fn default_page_size() -> u64 {
    1000
}

fn default_batch_size() -> usize {
    10_000
}

impl ExtractorConfig {
    /// The schema of `table`.
    pub(crate) fn schema<'a>(&'a self, connection: &'a SupabaseConnection) -> &'a str {
        self.schema.as_deref().unwrap_or_else(|| connection.schema())
    }

    /// What to read from each row.
    pub(crate) fn select(&self) -> Select {
        self.select.clone().unwrap_or_default()
    }

    /// The problems that the JSON schema cannot express. Pure.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let fields = SourceFields {
            dialects: SqlDialect::POSTGRES,
            query: self.query.as_deref(),
            table: self.table.as_deref(),
            table_fields: &[
                ("schema", self.schema.is_some()),
                ("select", self.select.is_some()),
                ("filter", self.filter.is_some()),
                ("order", self.order.is_some()),
                ("limit", self.limit.is_some()),
                ("offset", self.offset > 0),
                ("key", self.key.is_some()),
            ],
            order_fields: &["order", "limit", "offset"],
            partition_by: self.partition_by.as_deref(),
            partitions: self.partitions,
            cursor: self.cursor.as_ref(),
        };
        let mut problems = fields.problems();
        if self.query.is_none() {
            problems.extend(self.select.iter().flat_map(|select| select.problems("/select")));
            problems.extend(self.filter.iter().flat_map(|filter| filter.problems("/filter")));
            problems.extend(self.order.iter().flat_map(|order| order.problems("/order")));
        }
        problems
    }
}

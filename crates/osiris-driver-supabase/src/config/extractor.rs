//! The configuration of `supabase.extractor`, as pipelines write it. Doc comments here are the reference; nothing here does
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

pub use crate::filter::{Filter, Order, Select};

/// What `supabase.extractor` reads and how: a `table`, or over the direct channel a `query`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractorConfig {
    /// One statement that reads: SELECT, WITH, TABLE, VALUES, SHOW or EXPLAIN. Needs the direct channel. Default: none; then
    /// `table`.
    #[schemars(length(min = 1))]
    pub query: Option<String>,
    /// The table or view to read, by its exact name. Default: none; then `query`.
    #[schemars(length(min = 1), extend("x-aliases" = ["table_name", "source_table", "from_table"]))]
    pub table: Option<String>,
    /// The schema of `table`. Default: `public`.
    #[schemars(length(min = 1))]
    pub schema: Option<String>,
    /// Tables that are known to be there. Has no effect on what is read: discovery asks the server. Default: none.
    #[schemars(extend("x-source" = false))]
    pub tables: Option<Vec<String>>,
    /// The columns of `table` to read, in PostgREST's notation: `id,name`, `full:name`, `price::text`, `data->>key`, over REST
    /// also embedded resources such as `*,customer:customers(name,email)`. Default: `*`, all.
    #[schemars(extend("x-aliases" = ["columns"]))]
    pub select: Option<Select>,
    /// Which rows of `table` to read: conditions of PostgREST by column, such as `{status: eq.completed, age: gte.18}`. All of
    /// them must hold. Default: all rows.
    #[schemars(extend("x-aliases" = ["filters"]))]
    pub filter: Option<Filter>,
    /// The order to read the rows of `table` in: `created_at.desc,id`. Default: as the server likes; over REST by the key.
    #[schemars(extend("x-aliases" = ["order_by"]))]
    pub order: Option<Order>,
    /// How many rows of `table` to read at most. Default: all.
    pub limit: Option<u64>,
    /// How many rows of `table` to leave out first; needs `order` to mean anything. Default: 0.
    #[serde(default)]
    pub offset: u64,
    /// The columns that tell the rows of `table` apart, for a view without a primary key: pages over REST go by it. Default: the
    /// table's primary key.
    pub key: Option<Columns>,
    /// The rows of a page over REST. The server may give fewer; pages are read until all rows have come.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 1_000_000), extend("x-source" = false))]
    pub page_size: u64,
    /// How often a request over REST is tried again. Default: 3 times at least, and as often as fits into 90 s.
    #[schemars(range(max = 100), extend("x-source" = false))]
    pub retries: Option<u32>,
    /// How long the server may take until it sends the first row, or over REST an answer, in seconds. Default: the
    /// connection's `timeout`, which is also how long the server may be silent later.
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    pub timeout: Option<f64>,
    /// How long a statement may run in the server over the direct channel, in seconds: the server ends it then. Default: no such
    /// limit, whatever the role's own is.
    #[schemars(range(min = 0.001, max = 2_000_000.0), extend("x-source" = false))]
    pub statement_timeout: Option<f64>,
    /// The most rows of a batch over the direct channel. Batches end earlier, at 16 MB.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1, max = 10_000_000), extend("x-source" = false))]
    pub batch_size: usize,
    /// An integer, date or timestamp column, by whose ranges several connections read at the same time, all of them one snapshot.
    /// Rows where it is NULL are read too. Needs the direct channel. Default: one connection.
    #[schemars(length(min = 1), extend("x-source" = false))]
    pub partition_by: Option<String>,
    /// How many ranges. Default: 4.
    #[schemars(range(min = 2, max = 256), extend("x-source" = false))]
    pub partitions: Option<usize>,
    /// Reads only rows whose cursor column is at or after the last run's. Default: every run reads all rows.
    pub cursor: Option<Cursor>,
    /// Whether to prove that all rows arrived: `none`, or `counts` (default).
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub verify: Verify,
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

/// Whether to prove that all rows arrived. Over the direct channel the stream's own end mark proves it, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// No.
    None,
    /// Over REST the server counts the rows, and those that arrived are compared with it.
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
    pub(crate) fn schema(&self) -> &str {
        self.schema.as_deref().unwrap_or("public")
    }

    /// What to read of each row.
    pub(crate) fn select(&self) -> Select {
        self.select.clone().unwrap_or_default()
    }

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
        problems.extend(super::key_is_no_token(self.key.as_ref().map_or(&[], Columns::names)));
        problems
    }
}

//! The arguments of `copy`.

use std::time::Duration;

use clap::Args;
use osiris::pipeline::{CopyRequest, parse_duration};

use super::{ProgressArg, StoreArg};

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// Where the rows are
    pub(crate) source: String,
    /// Where they go; without a table it gets the name of the source's
    pub(crate) destination: String,
    /// What becomes of rows that are there: `append`, `overwrite` or `upsert`. Default: that of the writer, which is
    /// `append` for databases and `overwrite` for files
    #[arg(long)]
    pub(crate) mode: Option<String>,
    /// The columns that tell rows apart, for `--mode upsert`
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub(crate) key: Vec<String>,
    /// Copy only these columns
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Copy only rows that meet this condition, which the source evaluates
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// Copy at most so many rows
    #[arg(long, value_name = "ROWS")]
    pub(crate) limit: Option<u64>,
    /// Read the result of this query, in the language of the source, instead of a table
    #[arg(long, value_name = "QUERY", conflicts_with_all = ["columns", "condition", "limit"])]
    pub(crate) query: Option<String>,
    /// Run this SQL (of DuckDB) on the rows on the way: they are the table `source`
    #[arg(long, value_name = "SELECT")]
    pub(crate) sql: Option<String>,
    /// Do not create a missing table or database file
    #[arg(long)]
    pub(crate) no_create: bool,
    /// Print the pipeline that this copy stands for, and copy nothing
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    pub(crate) print: bool,
    /// Check everything, read a little, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Copy although an earlier, failed copy of the same has written rows or may have. Rows that are there are written twice
    #[arg(long)]
    pub(crate) force: bool,
    /// Wait while another process makes the same copy, at most this long (`90s`, `5m`, `2h`) or until it ends
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub(crate) wait: Option<Option<Duration>>,
    /// Where rows that cannot pass through at once live: `file`, or `memory`, which is faster
    #[arg(long)]
    pub(crate) store: Option<StoreArg>,
    /// How progress is shown on the standard error: for people, or as one JSON object per line
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub(crate) progress: ProgressArg,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl CopyArgs {
    pub(crate) fn request(&self) -> CopyRequest {
        let mut request = CopyRequest::new(&self.source, &self.destination);
        request.mode.clone_from(&self.mode);
        request.key.clone_from(&self.key);
        request.columns.clone_from(&self.columns);
        request.condition.clone_from(&self.condition);
        request.limit = self.limit;
        request.query.clone_from(&self.query);
        request.sql.clone_from(&self.sql);
        request.keep_tables = self.no_create;
        request
    }
}

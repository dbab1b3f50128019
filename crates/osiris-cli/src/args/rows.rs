//! The arguments of `head` and `exec`.

use clap::{Args, value_parser};
use osiris::core::ConnectionRef;

use super::connection;

/// The most rows that can be asked for.
const MOST: u64 = 1_000_000_000;

#[derive(Debug, Args)]
pub(crate) struct HeadArgs {
    /// Where the rows are: an address as `osiris copy` takes it
    pub(crate) source: String,
    /// Show at most so many rows
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u64).range(..=MOST))]
    pub(crate) rows: u64,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// The connection, as `@family.alias`
    #[arg(value_name = "REF", value_parser = connection)]
    pub(crate) connection: ConnectionRef,
    /// The statement, in the language of the source; `-`: read it from the standard input
    #[arg(value_name = "SQL")]
    pub(crate) query: String,
    /// Show at most so many rows. Default: 100; with --csv all
    #[arg(short = 'n', long, value_name = "N", value_parser = value_parser!(u64).range(..=MOST))]
    pub(crate) rows: Option<u64>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

/// How rows are shown.
#[derive(Debug, Args)]
pub(crate) struct FormArgs {
    /// Print the rows as CSV
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Print columns and rows as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

//! The commands on past runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use osiris::pipeline::parse_duration;

use super::JsonArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List past runs, the latest first
    #[command(after_help = "Examples:\n  $ osiris runs list\n  $ osiris runs list --json")]
    List(JsonArgs),
    /// Show the ledger of a run
    #[command(after_help = "Examples:\n  $ osiris runs show\n  $ osiris runs show --json")]
    Show(ShowRunArgs),
    /// Show the rows that a run rejected, and why: counts by reason, then the first rows
    #[command(
        after_help = "Examples:\n  $ osiris runs rejects\n  $ osiris runs rejects --csv\n  $ osiris runs rejects --json --limit 100"
    )]
    Rejects(RejectsArgs),
    /// Write a page about a run as HTML: steps, times, ledger, columns, rejected rows, errors
    #[command(after_help = "Examples:\n  $ osiris runs report\n  $ osiris runs report --output report.html\n  \
                            $ osiris runs report --output -")]
    Report(ReportArgs),
    /// Remove old runs: their records, rejects and tables
    ///
    /// A run is removed if it is older than --older-than and not among the newest --keep of its pipeline. A run that is
    /// going on stays. Of the runs that failed since their pipeline last succeeded, the latest that can be resumed stays, and
    /// each that wrote rows which a new run would write again.
    #[command(
        after_help = "Examples:\n  $ osiris runs clean --dry-run\n  $ osiris runs clean --older-than 7d --keep 5"
    )]
    Clean(CleanRunsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CleanRunsArgs {
    /// Remove only runs that began longer ago than this (`12h`, `30d`)
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_duration)]
    pub(crate) older_than: Duration,
    /// Keep so many of the newest runs of each pipeline
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) keep: usize,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RejectsArgs {
    /// The run's id, or the beginning of it; default: the latest run
    pub(crate) run: Option<String>,
    /// The step; default: all that rejected rows
    pub(crate) step: Option<String>,
    /// Show at most so many rows of each step. Default: 20; with --csv all
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Print the rows as CSV
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Print counts and rows as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Its id, or the beginning of it; default: the latest run
    pub(crate) run: Option<String>,
    /// Write to this file (`-`: standard output); default: in the run's directory
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print where it is as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowRunArgs {
    /// Its id, or the beginning of it; default: the latest run
    pub(crate) run: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

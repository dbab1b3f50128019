//! The options of every command.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use osiris::Settings;
use osiris::pipeline::{LogFormat, LogLevel, parse_count, parse_memory_limit};

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more; repeat for debug output
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Memory for the tables of a run, such as `2GB`, at least 32 MB (OSIRIS_MEMORY_LIMIT); default: 60% of the available memory
    #[arg(long, global = true, value_name = "SIZE", value_parser = bytes)]
    memory_limit: Option<u64>,
    /// Threads for the tables of a run (OSIRIS_THREADS); default: one for every core
    #[arg(long, global = true, value_name = "N", value_parser = count)]
    threads: Option<usize>,
    /// How many steps may run in parallel (OSIRIS_JOBS); default: 4
    #[arg(long, global = true, value_name = "N", value_parser = count)]
    jobs: Option<usize>,
    /// Where runs and state are kept (OSIRIS_RUN_DIR); default: `.osiris` in the project
    #[arg(long, global = true, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// The connections file (OSIRIS_CONNECTIONS); default: the nearest one, upwards from the pipeline
    #[arg(long, global = true, value_name = "FILE")]
    connections: Option<PathBuf>,
    /// Log from this level on (OSIRIS_LOG_LEVEL): off, error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL", value_parser = level)]
    log_level: Option<LogLevel>,
    /// How to log (OSIRIS_LOG_FORMAT): text, json
    #[arg(long, global = true, value_name = "FORMAT", value_parser = format)]
    log_format: Option<LogFormat>,
    /// Whether to use colours; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Colour,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

impl GlobalArgs {
    /// The settings that were given.
    pub(crate) fn settings(&self) -> Settings {
        let level = match self.verbose {
            0 => self.quiet.then_some(LogLevel::Error),
            1 => Some(LogLevel::Info),
            2 => Some(LogLevel::Debug),
            _ => Some(LogLevel::Trace),
        };
        Settings {
            memory_limit: self.memory_limit,
            threads: self.threads,
            jobs: self.jobs,
            store: None,
            run_dir: self.run_dir.clone(),
            run_retention: None,
            connections: self.connections.clone(),
            log_level: self.log_level.or(level),
            log_format: self.log_format,
            on_failure: None,
        }
    }
}

fn expected(what: &str) -> String {
    format!("expected {what}")
}

fn bytes(text: &str) -> Result<u64, String> {
    parse_memory_limit(text).map_err(expected)
}

fn count(text: &str) -> Result<usize, String> {
    parse_count(text).map_err(expected)
}

fn level(text: &str) -> Result<LogLevel, String> {
    text.parse().map_err(expected)
}

fn format(text: &str) -> Result<LogFormat, String> {
    text.parse().map_err(expected)
}

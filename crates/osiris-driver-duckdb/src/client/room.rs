//! How much memory and how many threads the instance of a file gets, and where it spills. Its run has a store of its own, with a limit that
//! the user knows.

use std::path::PathBuf;
use std::thread::available_parallelism;

use duckdb::Config;
use osiris_core::store::{Store, default_memory_limit};

/// What it has at least: below it DuckDB cannot sort.
const LEAST: u64 = 64 << 20;
/// What a thread needs to build row groups.
const PER_THREAD: u64 = 128 << 20;

/// The room of one instance.
#[derive(Debug, Clone)]
pub(super) struct Room {
    memory: u64,
    spill: Option<PathBuf>,
}

impl Default for Room {
    fn default() -> Self {
        Self { memory: (default_memory_limit() / 4).max(LEAST), spill: None }
    }
}

impl Room {
    /// Half as much as the store of the run may use, besides it.
    pub(super) fn of_run(store: &Store) -> Self {
        Self { memory: (store.memory_limit() / 2).max(LEAST), spill: Some(store.scratch_dir().join("duckdb")) }
    }

    /// The settings of it.
    pub(super) fn limit(&self, config: Config) -> duckdb::Result<Config> {
        let cores = available_parallelism().map_or(1, |cores| cores.get() as u64);
        let threads = (self.memory / PER_THREAD).clamp(1, cores);
        let config = config.max_memory(&format!("{}B", self.memory))?.threads(i64::try_from(threads).unwrap_or(1))?;
        match &self.spill {
            Some(spill) => config.with("temp_directory", spill.display().to_string()),
            None => Ok(config),
        }
    }
}

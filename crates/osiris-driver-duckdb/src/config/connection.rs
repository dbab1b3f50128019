//! The connection: a database file.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// A DuckDB database file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// The database file. A relative path starts at the pipeline's directory.
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    pub path: String,
    /// Whether writers are refused. An extractor opens the file read-only in any case.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub read_only: bool,
    /// Whether a writer creates a missing file; its directory must be there. Default `false`: a typo must not make a database.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    pub create_if_missing: bool,
    /// How long to wait for another program that has the file open, in seconds. DuckDB lets one program write, or several read.
    #[serde(default = "default_busy_timeout")]
    #[schemars(range(min = 0.0, max = 3600.0), extend("x-source" = false, "x-override" = "allowed"))]
    pub busy_timeout: f64,
}

impl ConnectionConfig {
    /// How long to wait for another program.
    pub(crate) fn busy_timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.busy_timeout).unwrap_or_default()
    }
}

fn default_busy_timeout() -> f64 {
    30.0
}

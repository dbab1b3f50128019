//! The configuration of the component and its connection. The doc comments are the reference; nothing here does I/O.

use std::time::Duration;

use osiris_core::{Problem, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// The address of the API and its credentials.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionConfig {
    /// The address of the API, such as `https://api.example.com/v1`.
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    pub(crate) url: String,
    /// The API key. It is sent as a bearer token.
    pub(crate) api_key: Secret,
    /// How long one request may take, in seconds.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 600), extend("x-source" = false, "x-override" = "allowed"))]
    timeout: u64,
}

impl ConnectionConfig {
    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// What to read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtractorConfig {
    /// The resource: a name that `osiris discover` lists.
    #[schemars(length(min = 1))]
    pub resource: String,
    /// Rows per page. A page that is too large for the server is requested again at half the size.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 10_000), extend("x-source" = false))]
    pub page_size: u64,
    /// How many pages to read at most. Default: all of them.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_pages: Option<u64>,
}

impl ExtractorConfig {
    /// What the schema cannot express: all problems at once.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        if self.resource.contains(['/', '?', '#']) {
            let problem = Problem::error("/resource", format!("invalid resource `{}`: expected a name", self.resource));
            return vec![problem.with_hint("set `url` of the connection to the address of the API")];
        }
        Vec::new()
    }
}

const fn default_timeout() -> u64 {
    60
}

const fn default_page_size() -> u64 {
    1000
}

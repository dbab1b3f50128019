//! GraphQL APIs on engines that many APIs run on, each in its own language: `engines/` has their scripts.

use osiris_core::Result;
use osiris_testkit::services::{LocalServer, packages};

/// The service that `cargo xtask test-drivers` fetches the packages of.
const SERVICE: &str = "graphql-engines";
/// Of when the packages are: the same as in xtask.
const EDITION: &str = "2026-06-01";
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/engines");

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// GraphQL Yoga, on Node.
    Yoga,
    /// Apollo Server, on Node.
    Apollo,
    /// PostGraphile 4, on Node, before the database that `DATABASE_URL` names.
    PostGraphile,
    /// Strawberry, on Python.
    Strawberry,
}

/// A server on an engine. Ends when dropped, or with the process.
pub struct EngineServer(LocalServer);

impl Engine {
    /// Those whose API has the same schema: `items`, `itemsFrom`, with as many items as `ITEMS` says.
    pub const OF_ITEMS: [Self; 3] = [Self::Yoga, Self::Apollo, Self::Strawberry];

    /// Starts a server with these variables of the environment; `TOKEN` is the bearer token that it wants. `None` when tests that
    /// need the service are left out.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(self, variables: &[(&str, &str)]) -> Result<Option<EngineServer>> {
        let Some(packages) = packages(SERVICE, EDITION)? else { return Ok(None) };
        let (program, script, variable, below) = match self {
            Self::Yoga => ("node", "yoga.js", "NODE_PATH", "engines/node_modules"),
            Self::Apollo => ("node", "apollo.js", "NODE_PATH", "engines/node_modules"),
            Self::PostGraphile => ("node", "postgraphile.js", "NODE_PATH", "postgraphile/node_modules"),
            Self::Strawberry => ("python3", "strawberry_server.py", "PYTHONPATH", "strawberry"),
        };
        let path = packages.join(below).display().to_string();
        let command = |port: u16| {
            let port = port.to_string();
            let own = [(variable, path.as_str()), ("PORT", port.as_str()), ("PYTHONDONTWRITEBYTECODE", "1")];
            let set = own.iter().chain(variables).map(|(name, value)| format!("{name}={value}"));
            let run = [program.to_owned(), format!("{SCRIPTS}/{script}")];
            std::iter::once("env".to_owned()).chain(set).chain(run).collect()
        };
        LocalServer::start(SERVICE, command).await.map(EngineServer).map(Some)
    }
}

impl EngineServer {
    /// The URL of the endpoint.
    pub fn endpoint(&self) -> String {
        format!("{}/graphql", self.0.url())
    }
}

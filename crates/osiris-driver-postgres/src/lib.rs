#![doc = include_str!("../README.md")]

pub mod client;
mod config;
pub mod discover;
pub mod doctor;
pub mod error;
pub mod extract;
pub mod types;
pub mod write;

pub use config::{
    DecimalOverflow, Dsn, ExtractorConfig, InfinityPolicy, IntervalPolicy, NulBytes, NumericPolicy, Policies,
    PostgresConnection, ServerAddress, WriterConfig,
};
pub use extract::PostgresExtractor;
pub use write::PostgresWriter;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

use client::Connect;

/// The connection family of PostgreSQL servers.
pub struct Postgres {
    connect: Connect,
}

impl Postgres {
    /// With clients opened by `connect`.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for Postgres {
    const NAME: &'static str = "postgres";
    const SCHEMES: &'static [&'static str] = &["postgres", "postgresql"];
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = PostgresConnection;

    fn source(connection: &PostgresConnection) -> Vec<(&'static str, String)> {
        let address = &connection.address;
        vec![("server", address.to_string()), ("database", address.database.clone())]
    }

    async fn discover(&self, connection: &PostgresConnection, _pattern: Option<&str>) -> Result<Catalog> {
        discover::discover(&self.connect, connection, Path::new(".")).await
    }

    async fn discover_from(&self, connection: &PostgresConnection, base: &Path) -> Result<Catalog> {
        discover::discover(&self.connect, connection, base).await
    }

    fn default_schema(_: &PostgresConnection) -> Option<String> {
        Some("public".to_owned())
    }

    async fn check(&self, connection: &PostgresConnection, limit: Duration) -> Health {
        doctor::check(&self.connect, connection, limit).await
    }
}

/// Registers the components of this crate, which share their connections.
///
/// # Errors
/// When one of them is already registered.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, client::connect())
}

/// The same with another client.
///
/// # Errors
/// When one of them is already registered.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry
        .family(Postgres::new(Arc::clone(&connect)))
        .extractor(PostgresExtractor::with_client(Arc::clone(&connect)))
        .writer(PostgresWriter::with_client(connect))
        .add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#![doc = include_str!("../README.md")]

mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod rowid;
mod types;
mod write;

pub use client::{Client, Connect, Target, connect};
pub use config::{ConnectionConfig, ExtractorConfig, WriterConfig};
pub use extract::SqliteExtractor;
pub use write::SqliteWriter;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// The family of SQLite.
pub struct SqliteFamily {
    connect: Connect,
}

impl SqliteFamily {
    /// Over clients that `connect` opens.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for SqliteFamily {
    const NAME: &'static str = "sqlite";
    const SCHEMES: &'static [&'static str] = &["sqlite"];
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = ConnectionConfig;

    async fn discover(&self, connection: &ConnectionConfig, _pattern: Option<&str>) -> Result<Catalog> {
        discover::discover(&self.connect, connection, Path::new(".")).await
    }

    async fn discover_from(&self, connection: &ConnectionConfig, base: &Path) -> Result<Catalog> {
        discover::discover(&self.connect, connection, base).await
    }

    async fn check(&self, connection: &ConnectionConfig, limit: Duration) -> Health {
        doctor::check(&self.connect, connection, limit).await
    }
}

/// Adds the components of this crate.
///
/// # Errors
/// When one of them is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, connect())
}

/// The same over clients that `connect` opens.
///
/// # Errors
/// When one of them is there already.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry
        .family(SqliteFamily::new(Arc::clone(&connect)))
        .extractor(SqliteExtractor::with_client(Arc::clone(&connect)))
        .writer(SqliteWriter::with_client(connect))
        .add()
}

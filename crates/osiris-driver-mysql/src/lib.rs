#![doc = include_str!("../README.md")]

mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod types;
mod wire;
mod write;

pub use client::{Client, Connect, Target, connect};
pub use config::*;
pub use extract::MysqlExtractor;
pub use write::MysqlWriter;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// The connection family of MySQL and MariaDB.
pub struct Mysql {
    connect: Connect,
}

impl Mysql {
    /// With clients opened by `connect`.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for Mysql {
    const NAME: &'static str = "mysql";
    const SCHEMES: &'static [&'static str] = &["mysql", "mariadb"];
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = MysqlConnection;

    fn source(connection: &MysqlConnection) -> Vec<(&'static str, String)> {
        connection.dsn_source()
    }

    async fn discover(&self, connection: &MysqlConnection, _pattern: Option<&str>) -> Result<Catalog> {
        discover::discover(&self.connect, connection, Path::new(".")).await
    }

    async fn discover_from(&self, connection: &MysqlConnection, base: &Path) -> Result<Catalog> {
        discover::discover(&self.connect, connection, base).await
    }

    fn default_schema(connection: &MysqlConnection) -> Option<String> {
        connection.database.clone()
    }

    async fn check(&self, connection: &MysqlConnection, limit: Duration) -> Health {
        doctor::check(&self.connect, connection, limit).await
    }
}

/// Registers the components of this crate, which share their connections.
///
/// # Errors
/// When one of them is already registered.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, connect())
}

/// The same with another client.
///
/// # Errors
/// When one of them is already registered.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry
        .family(Mysql::new(Arc::clone(&connect)))
        .extractor(MysqlExtractor::with_client(Arc::clone(&connect)))
        .writer(MysqlWriter::with_client(connect))
        .add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

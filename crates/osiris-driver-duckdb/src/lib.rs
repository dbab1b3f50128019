#![doc = include_str!("../README.md")]

mod assertions;
mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod names;
mod text_columns;
mod transform;
mod types;
mod write;

pub use client::{Client, Connect, Target, connect};
pub use config::{
    AcceptedValues, Assertion, ConnectionConfig, ExtractorConfig, Materialize, OneOrMany, ProcessorConfig, RowCount,
    Severity, WriterConfig,
};
pub use extract::DuckdbExtractor;
pub use transform::Processor;
pub use write::DuckdbWriter;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// The family of DuckDB database files.
pub struct DuckdbFamily {
    connect: Connect,
}

impl DuckdbFamily {
    /// Over clients that `connect` opens.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for DuckdbFamily {
    const NAME: &'static str = "duckdb";
    const SCHEMES: &'static [&'static str] = &["duckdb"];
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = ConnectionConfig;

    async fn discover(&self, connection: &ConnectionConfig, _pattern: Option<&str>) -> Result<Catalog> {
        discover::discover(&self.connect, connection).await
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

/// The same over clients that `connect` opens. The processor has none: it runs in the run's store.
///
/// # Errors
/// When one of them is there already.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry.processor(Processor::new()).add()?;
    registry
        .family(DuckdbFamily::new(Arc::clone(&connect)))
        .extractor(DuckdbExtractor::with_client(Arc::clone(&connect)))
        .writer(DuckdbWriter::with_client(connect))
        .add()
}

#![doc = include_str!("../README.md")]

mod client;
mod config;
mod directory;
mod error;
mod extract;
mod types;
mod write;

pub use client::{Client, Connect, Draft, Row, Rows, Table};
pub use config::{ConnectionConfig, ExtractorConfig, WriteMode, WriterConfig};
pub use extract::SampleFileExtractor;
pub use write::SampleFileWriter;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// What the components share: the client, discovery, and the check of a connection.
pub struct SampleFile {
    connect: Connect,
}

impl SampleFile {
    /// The family, with clients that `connect` opens.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for SampleFile {
    const NAME: &'static str = "samplefile";
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = ConnectionConfig;

    async fn discover(&self, connection: &ConnectionConfig, _pattern: Option<&str>) -> Result<Catalog> {
        client::discover(&self.connect, connection).await
    }

    async fn check(&self, connection: &ConnectionConfig, _limit: Duration) -> Health {
        client::check(&self.connect, connection).await
    }
}

/// Adds the components of this crate.
///
/// # Errors
/// When one of them is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, client::connect())
}

/// Like [`register`], with clients that `connect` opens.
///
/// # Errors
/// When one of them is there already.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry
        .family(SampleFile::new(Arc::clone(&connect)))
        .extractor(SampleFileExtractor::with_client(Arc::clone(&connect)))
        .writer(SampleFileWriter::with_client(connect))
        .add()
}

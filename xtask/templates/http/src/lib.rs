#![doc = include_str!("../README.md")]

mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod types;

pub use client::Connect;
pub use config::{ConnectionConfig, ExtractorConfig};
pub use extract::SampleApiExtractor;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// What the components share: the client, discovery, and the check of a connection.
pub struct SampleApi {
    connect: Connect,
}

impl SampleApi {
    /// The family, with clients that `connect` opens.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for SampleApi {
    const NAME: &'static str = "sampleapi";
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

/// Adds the component of this crate.
///
/// # Errors
/// When it is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, client::connect())
}

/// Like [`register`], with clients that `connect` opens.
///
/// # Errors
/// When it is there already.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry.family(SampleApi::new(Arc::clone(&connect))).extractor(SampleApiExtractor::with_client(connect)).add()
}

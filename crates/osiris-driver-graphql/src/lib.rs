#![doc = include_str!("../README.md")]

mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod query;
mod types;

pub use client::{Connect, ConnectionTarget, connect, settings};
pub use config::{
    AuthType, ConnectionConfig, ExtractorConfig, NestedPages, NullItems, PageStyle, Pagination, PartialErrors,
};
pub use extract::GraphqlExtractor;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// The family of GraphQL endpoints.
pub struct Graphql {
    connect: Connect,
}

impl Graphql {
    /// The family, with clients that `connect` opens.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for Graphql {
    const NAME: &'static str = "graphql";
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
    register_with_client(registry, connect())
}

/// Like [`register`], with clients that `connect` opens.
///
/// # Errors
/// When it is there already.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry.family(Graphql::new(Arc::clone(&connect))).extractor(GraphqlExtractor::with_client(connect)).add()
}

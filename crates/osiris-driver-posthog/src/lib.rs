#![doc = include_str!("../README.md")]

mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod hogql;
mod types;

pub use client::Connect;
pub use config::{DataType, ExtractorConfig, Flatten, Moment, PosthogConnection, ProjectId, Region};
pub use extract::{Now, PosthogExtractor};

use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// The family of PostHog projects.
pub struct Posthog {
    connect: Connect,
}

impl Posthog {
    /// Over clients that `connect` opens.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for Posthog {
    const NAME: &'static str = "posthog";
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = PosthogConnection;

    async fn discover(&self, connection: &PosthogConnection, _pattern: Option<&str>) -> Result<Catalog> {
        discover::discover(&self.connect, connection).await
    }

    async fn check(&self, connection: &PosthogConnection, _limit: Duration) -> Health {
        doctor::check(&self.connect, connection).await
    }
}

/// Adds the component of this crate.
///
/// # Errors
/// When it is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.family(Posthog::new(client::connect())).extractor(PosthogExtractor::new()).add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

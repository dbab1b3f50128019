#![doc = include_str!("../README.md")]

mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod query;
mod types;

pub use client::Connect;
pub use config::{ConnectionConfig, DataType, ExtractorConfig, Flatten, ProjectId, Region, Timestamp};
pub use extract::{Now, PosthogExtractor};

use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// The family of PostHog projects.
pub struct Posthog {
    connect: Connect,
}

impl Posthog {
    /// The family, with clients that `connect` opens.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for Posthog {
    const NAME: &'static str = "posthog";
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = ConnectionConfig;

    async fn discover(&self, connection: &ConnectionConfig, _pattern: Option<&str>) -> Result<Catalog> {
        discover::discover(&self.connect, connection).await
    }

    async fn check(&self, connection: &ConnectionConfig, _limit: Duration) -> Health {
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

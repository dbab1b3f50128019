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
pub use config::{AuthType, ConnectionConfig, ExtractorConfig, NestedPages, PageStyle, Pagination, PartialErrors};
pub use extract::GraphqlExtractor;

use osiris_core::{Registry, Result};

/// Adds the component of this crate.
///
/// # Errors
/// When it is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, connect())
}

/// The same over clients that `connect` opens.
///
/// # Errors
/// When it is there already.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry.extractor(GraphqlExtractor::with_client(connect)).with_discovery().with_doctor().add()
}

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

use osiris_core::{Registry, Result};

/// Adds the component of this crate.
///
/// # Errors
/// When it is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.extractor(SampleApiExtractor::new()).with_discovery().with_doctor().add()
}

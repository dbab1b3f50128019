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

use osiris_core::{Registry, Result};

/// Adds the component of this crate.
///
/// # Errors
/// When it is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.extractor(PosthogExtractor::new()).with_discovery().with_doctor().add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

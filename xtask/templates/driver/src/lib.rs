#![doc = include_str!("../README.md")]

mod client;
mod config;
mod directory;
mod error;
mod extract;
mod types;
mod write;

pub use client::{Client, Connect, Draft, Row, Rows, Table};
pub use config::{ExtractorConfig, SampleConnection, WriteMode, WriterConfig};
pub use extract::SampleExtractor;
pub use write::SampleWriter;

use osiris_core::{Registry, Result};

/// Adds the components of this crate.
///
/// # Errors
/// When one of them is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.extractor(SampleExtractor::new()).with_discovery().with_doctor().add()?;
    registry.writer(SampleWriter::new()).with_discovery().with_doctor().add()
}

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

use osiris_core::{Registry, Result};

/// Adds the components of this crate.
///
/// # Errors
/// When one of them is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.extractor(SampleFileExtractor::new()).with_discovery().with_doctor().add()?;
    registry.writer(SampleFileWriter::new()).with_discovery().with_doctor().add()
}

#![doc = include_str!("../README.md")]

pub mod client;
mod config;
pub mod discover;
pub mod doctor;
pub mod error;
pub mod extract;
pub mod types;
pub mod write;

pub use config::{
    DecimalOverflow, Dsn, ExtractorConfig, InfinityPolicy, IntervalPolicy, NulBytes, NumericPolicy, Policies,
    PostgresConnection, ServerAddress, WriterConfig,
};
pub use extract::PostgresExtractor;
pub use write::PostgresWriter;

use std::sync::Arc;

use osiris_core::{Registry, Result};

use client::Connect;

/// Adds the components of this crate.
///
/// # Errors
/// When one of them is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, client::connect())
}

/// The same over another client.
///
/// # Errors
/// When one of them is there already.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry.extractor(PostgresExtractor::with_client(Arc::clone(&connect))).with_discovery().with_doctor().add()?;
    registry.writer(PostgresWriter::with_client(connect)).with_discovery().with_doctor().add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

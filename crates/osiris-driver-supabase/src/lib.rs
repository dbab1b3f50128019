#![doc = include_str!("../README.md")]

mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod filter;
mod write;

pub use client::{Client, Connect, Target, connect};
pub use config::*;
pub use extract::SupabaseExtractor;
pub use write::SupabaseWriter;

use std::sync::Arc;

use osiris_core::{Registry, Result};

/// Adds the components of this crate.
///
/// # Errors
/// When one of them is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, connect())
}

/// The same over another client.
///
/// # Errors
/// When one of them is there already.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry.extractor(SupabaseExtractor::with_client(Arc::clone(&connect))).with_discovery().with_doctor().add()?;
    registry.writer(SupabaseWriter::with_client(connect)).with_discovery().with_doctor().add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

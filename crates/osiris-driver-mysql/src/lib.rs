#![doc = include_str!("../README.md")]

mod client;
mod config;
mod discover;
mod doctor;
mod error;
mod extract;
mod types;
mod wire;
mod write;

pub use client::{Client, Connect, Target, connect};
pub use config::*;
pub use extract::MysqlExtractor;
pub use write::MysqlWriter;

use std::sync::Arc;

use osiris_core::{Registry, Result};

/// Adds the components of this crate. They share their connections.
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
    registry.extractor(MysqlExtractor::with_client(Arc::clone(&connect))).with_discovery().with_doctor().add()?;
    registry.writer(MysqlWriter::with_client(connect)).with_discovery().with_doctor().add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

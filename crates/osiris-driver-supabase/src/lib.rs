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

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Family, Health, Registry, Result};

/// The connection family of Supabase projects, and of any PostgreSQL behind PostgREST.
pub struct Supabase {
    connect: Connect,
}

impl Supabase {
    /// With clients opened by `connect`.
    pub fn new(connect: Connect) -> Self {
        Self { connect }
    }
}

#[async_trait]
impl Family for Supabase {
    const NAME: &'static str = "supabase";
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = SupabaseConnection;

    fn source(connection: &SupabaseConnection) -> Vec<(&'static str, String)> {
        source(connection)
    }

    async fn discover(&self, connection: &SupabaseConnection, _pattern: Option<&str>) -> Result<Catalog> {
        discover::discover(&self.connect, connection, Path::new(".")).await
    }

    async fn discover_from(&self, connection: &SupabaseConnection, base: &Path) -> Result<Catalog> {
        discover::discover(&self.connect, connection, base).await
    }

    fn default_schema(_: &SupabaseConnection) -> Option<String> {
        Some("public".to_owned())
    }

    async fn check(&self, connection: &SupabaseConnection, limit: Duration) -> Health {
        doctor::check(&self.connect, connection, limit).await
    }
}

/// Adds the components of this crate.
///
/// # Errors
/// When one of them is already registered.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_client(registry, connect())
}

/// The same with another client.
///
/// # Errors
/// When one of them is already registered.
pub fn register_with_client(registry: &mut Registry, connect: Connect) -> Result<()> {
    registry
        .family(Supabase::new(Arc::clone(&connect)))
        .extractor(SupabaseExtractor::with_client(Arc::clone(&connect)))
        .writer(SupabaseWriter::with_client(connect))
        .add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#![doc = include_str!("../README.md")]

pub use osiris_core as core;
pub use osiris_pipeline as pipeline;

#[cfg(feature = "duckdb")]
pub use osiris_driver_duckdb as duckdb;
#[cfg(feature = "filesystem")]
pub use osiris_driver_filesystem as filesystem;

pub use osiris_core::{Error, ErrorKind, Registry, Result};
pub use osiris_pipeline::run::run;
pub use osiris_pipeline::{
    ConnectionsFile, Diagnostics, Environment, Outcome, Plan, PlanOptions, Project, RunOptions, RunReport, Settings,
    Silent, SourceFile,
};

/// A registry with the components of every driver whose feature is on.
///
/// # Errors
/// Never, unless two drivers have a component of the same name.
#[allow(unused_mut, reason = "without a driver nothing is added")]
pub fn registry() -> Result<Registry> {
    let mut registry = Registry::new();
    #[cfg(feature = "duckdb")]
    osiris_driver_duckdb::register(&mut registry)?;
    #[cfg(feature = "filesystem")]
    osiris_driver_filesystem::register(&mut registry)?;
    Ok(registry)
}

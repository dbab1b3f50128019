//! `duckdb.processor`: SQL over the tables of a run, with assertions.
//!
//! The SQL may come from an untrusted user or a language model: it reads the upstream tables and creates one table, and
//! can do nothing else (see [`osiris_core::store::SqlScript`] and the sandbox of the store).
//!
//! ```
//! let mut registry = osiris_core::Registry::new();
//! osiris_driver_duckdb::register(&mut registry)?;
//! assert_eq!(registry.get("duckdb.processor")?.spec().role, osiris_core::Role::Transform);
//! # Ok::<(), osiris_core::Error>(())
//! ```

mod assertions;
mod config;
mod error;
mod names;
mod text_columns;
mod transform;

pub use config::{AcceptedValues, Assertion, Materialize, OneOrMany, ProcessorConfig, RowCount, Severity};
pub use transform::Processor;

use osiris_core::{Registry, Result};

/// Adds `duckdb.processor`.
///
/// # Errors
/// When it is already registered.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.processor(Processor::new()).add()
}

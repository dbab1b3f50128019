//! What a driver is written with: `use osiris_core::prelude::*;`.
//!
//! The traits and types of the protocol, and the crates that they show, in the versions that they show: a driver need not name those
//! crates itself, but for their derive macros (`serde`, `schemars`), which look for a crate of that name unless they are told
//! otherwise, as in `#[serde(crate = "osiris_core::serde")]`.
//!
//! ```
//! use osiris_core::prelude::*;
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(crate = "osiris_core::serde", deny_unknown_fields)]
//! #[schemars(crate = "osiris_core::schemars")]
//! struct Config {
//!     /// How many rows to make.
//!     rows: i64,
//! }
//!
//! struct Counter;
//!
//! impl Component for Counter {
//!     const SPEC: ComponentSpec = ComponentSpec::new("counter.extractor", "1.0.0", Role::Extract, "Counts");
//!     type Connection = NoConnection;
//!     type Config = Config;
//! }
//!
//! #[async_trait]
//! impl Extract for Counter {
//!     async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
//!         let numbers = arrow::array::Int64Array::from_iter_values(1..=step.config().rows);
//!         let batch = arrow::array::RecordBatch::try_from_iter([("n", std::sync::Arc::new(numbers) as _)]);
//!         let batch = batch.map_err(|error| Error::unknown("the numbers are no batch").with_source(error))?;
//!         let sender = out.sender(batch.schema()).await?;
//!         sender.send(batch).await?;
//!         Ok(Extracted::rows(step.config().rows.unsigned_abs()))
//!     }
//! }
//!
//! let mut registry = Registry::new();
//! registry.extractor(Counter).add()?;
//! # Ok::<(), Error>(())
//! ```

pub use crate::{
    Catalog, Code, Column, ColumnType, Commit, CommitEnd, CommitOutcome, Component, ComponentSpec, ConfigSchema,
    ConnectionUse, DestinationId, Error, ErrorKind, ExecutionContext, Extract, Extracted, Family, Feature, Health,
    HealthCategory, Input, Inputs, Intent, NoConnection, Problem, Registry, Reject, Resource, ResourceField, Result,
    ResumeFrom, Role, Secret, Severity, Stdio, Step, TableRef, TableScan, TableSender, TableSink, Transform, Unit,
    Write, Written,
};
pub use arrow;
pub use async_trait::async_trait;
pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize};
pub use serde_json::{self, Value};
pub use tokio_util::sync::CancellationToken;

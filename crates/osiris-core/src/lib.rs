//! The core of Osiris: the traits that drivers implement, the store that holds the tables of a run, and everything that
//! is the same for all drivers: configuration, connections, secrets, errors, retries, telemetry, the ledger.
//!
//! A driver crate implements [`Component`] and one of [`Extract`], [`Transform`], [`Write`], and registers itself in a
//! [`Registry`]. A runner takes a [`Driver`] out of it, calls [`Driver::prepare`] and then [`PreparedStep::run`].
//!
//! This crate knows no vendor, reads no environment and prints nothing.

pub mod clock;
pub mod commit;
pub mod config;
pub mod connection;
pub mod driver;
pub mod lock;
pub mod prelude;
pub mod private;
pub mod problem;
pub mod rows;
pub mod secret;
pub mod state;
pub mod store;
pub mod substitute;
pub mod telemetry;
#[cfg(feature = "tls")]
pub mod tls;

mod catalog;
mod code;
mod component;
mod context;
mod counts;
mod destination;
mod error;
mod family;
mod header;
mod health;
mod inputs;
mod progress;
mod registry;
mod retry;
mod visible;

pub use catalog::{Catalog, NamePattern, Resource, ResourceField, ResourceKind};
pub use code::Code;
pub use commit::{Commit, CommitEnd, CommitLimits, CommitLog, CommitOutcome, CommitRecord, Intent};
pub use component::{
    Component, ComponentSpec, ConnectionUse, Extract, Extracted, Feature, NoConnection, ResumeFrom, Role, Stdio, Step,
    Transform, Write, Written,
};
pub use config::ConfigSchema;
pub use connection::{ConnectionRef, Connections, ResolvedConnection};
pub use context::{ExecutionContext, RunContext};
pub use counts::StepCounts;
pub use destination::DestinationId;
pub use driver::{Driver, FamilyDriver, Prepared, PreparedStep, StepFailure, StepOutput, StepRequest};
pub use error::{Error, ErrorKind, Result};
pub use family::Family;
pub use health::{Health, HealthCategory};
pub use inputs::{Input, Inputs};
pub use problem::{Problem, Severity};
pub use progress::{Phase, Progress};
pub use registry::{ComponentAlias, FamilyRegistration, Registration, Registry};
pub use retry::{Backoff, NextTry, RetryPolicy};
pub use secret::{MASK, Redactor, Secret, looks_like_token, mask_tokens, shorten};
pub use store::{
    Column, ColumnType, Reject, RejectFile, RejectReason, RejectTable, StepNote, Store, StoreKind, StoreOptions,
    TableRef, TableScan, TableSchema, TableSender, TableSink, safe_name,
};
pub use telemetry::{Telemetry, Unit, event, metric};
pub use visible::{is_control, visible, visible_line};

// What signatures show, in the version that they show: their major versions are ours.
pub use arrow;
pub use async_trait;
pub use schemars;
pub use serde;
pub use serde_json;
pub use tokio_util::sync::CancellationToken;

/// How many rows an extractor reads at most in a dry run.
pub const DRY_RUN_ROWS: u64 = 100;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#![doc = include_str!("../README.md")]
//!
//! # What is where
//!
//! * [`Bench`] runs steps the way a run does: a real store, real telemetry, nothing mocked.
//! * [`Subject`] and [`Destination`] are what the author of a driver implements, once for each component.
//! * [`conformance_suite!`] makes one test of every rule that a component of the given role has to keep; the rules
//!   themselves are the functions of [`suite`], public so that they can be called one at a time.
//! * [`services`] (feature `services`) starts throw-away servers, [`proxy`] puts a faulty network before one; [`database`] holds what
//!   drivers of any database are tested with.
//! * [`http_server`] (feature `http-server`) answers HTTP requests as a test says, and keeps what it was sent.
//! * [`Sample`], [`Rows`] and [`corpus`] are the data: tables with difficult values, expected rows, difficult names.
//!
//! This crate knows no driver and no engine: it goes through the store of `osiris-core` as a driver does. It is for
//! tests: failing checks are reported as a [`Violation`], and the tests that the macro makes panic with it.

#[cfg(any(feature = "http-server", feature = "services"))]
pub mod certificates;
pub mod corpus;
#[cfg(feature = "services")]
pub mod database;
pub mod fault;
#[cfg(feature = "http-server")]
pub mod http_server;
pub mod process;
pub mod proxy;
#[cfg(feature = "services")]
pub mod services;
pub mod suite;
pub mod telemetry;

mod alone;
mod bench;
mod macros;
mod place;
mod rate_limit;
mod recording;
mod rows;
mod sample;
mod skipped;
mod step;
mod subject;
mod trial;

pub use bench::{Bench, BenchOptions};
pub use place::{Listing, Place};
pub use rate_limit::RateLimit;
pub use recording::Recording;
pub use rows::{Row, Rows};
pub use sample::Sample;
pub use step::BenchStep;
pub use subject::{Destination, Fault, Incremental, InputTable, InvalidConfig, Job, Mode, Paging, Subject};
pub use trial::{Outcome, Ready, Trial, Verdict, Violation, conduct, judge};

/// What the macros and the authors of subjects need, without adding it to their own dependencies.
pub use async_trait::async_trait;

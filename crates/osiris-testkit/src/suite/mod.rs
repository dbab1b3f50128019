//! The driver rules as functions, named after them. `docs/driver-spec.md` has the rules in words.
//!
//! Each takes a [`Trial`](crate::Trial) and returns a verdict: the rule holds, or is not about such a component, or is
//! violated. [`conformance_suite!`](crate::conformance_suite) makes a test of each that a role has to keep.

pub mod common;
pub mod discover;
pub mod doctor;
pub mod extract;
pub mod inputs;
pub mod transform;
pub mod write;

mod batches;
mod cancel;
mod commit;
mod config;
mod defaults;
mod direct;
mod errors;
mod features;
mod http;
mod private;
mod progress;
mod resources;
mod run;
mod state;

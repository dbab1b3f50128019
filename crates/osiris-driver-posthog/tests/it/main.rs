//! The driver against a stand-in of PostHog that executes its queries.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod completeness;
mod conformance;
mod extract;
mod messages;
mod stand_in;
mod support;
mod volume;

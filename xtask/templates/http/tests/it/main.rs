//! The driver over HTTP and a real store: the rules of every driver, and the behaviour of this one.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod api;
mod conformance;
mod pages;

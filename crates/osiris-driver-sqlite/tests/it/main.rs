//! The driver over real files and a real store: the rules of every driver, and the behaviour of this one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod conformance;
mod cursor;
mod cursor_bounds;
mod database;
mod faults;
mod read;
mod round_trip;
mod write;

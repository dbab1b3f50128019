//! The driver through the eyes of a runner: real servers, a real store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod channel;
mod direct;
mod discover;
mod doctor;
mod extract_conformance;
mod outcome;
mod rest_cursor_bounds;
mod rest_extract;
mod rest_extract_conformance;
mod rest_faults;
mod rest_seams;
mod rest_throttle;
mod rest_tls;
mod rest_types;
mod rest_world;
mod rest_write;
mod rest_write_conformance;
mod secrets;
mod subject;
mod support;
mod write_conformance;

//! The driver through the eyes of a runner: real servers, a real store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod channel;
mod cursor;
mod cursor_bounds;
mod discover;
mod doctor;
mod extract;
mod extract_conformance;
mod families;
mod guard;
mod outcome;
mod overwrite;
mod partition;
mod pooler;
mod read_faults;
mod rejects;
mod rest_extract;
mod rest_extract_conformance;
mod rest_faults;
mod rest_seams;
mod rest_throttle;
mod rest_types;
mod rest_world;
mod rest_write;
mod rest_write_conformance;
mod round_trip;
mod seams;
mod secrets;
mod subject;
mod support;
mod tls;
mod upsert;
mod write;
mod write_conformance;
mod write_faults;
mod write_speed;
mod write_types;

//! The driver through the eyes of a runner: real servers, a real store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod cursor;
mod cursor_bounds;
mod discover;
mod doctor;
mod extensions;
mod extract;
mod extract_conformance;
mod families;
mod fields;
mod guard;
mod outcome;
mod overwrite;
mod partition;
mod pooler;
mod read_faults;
mod rejects;
mod round_trip;
mod seams;
mod secrets;
mod subject;
mod support;
mod tls;
mod upsert;
mod versions;
mod write;
mod write_conformance;
mod write_faults;
mod write_speed;
mod write_types;

//! Pipeline files from text to plan, with the messages that people read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "clippy knows tests, not what they share")]

mod components;
mod connections;
mod destinations;
mod form;
mod groups;
mod inspect;
mod manifest;
mod original;
mod params;
mod parse_once;
mod references;
mod runs;
mod secrets;
mod stuck;
mod suggestions;
mod syntax;
mod values;

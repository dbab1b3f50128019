//! The components through their public interface, on a real store and real files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod arrow_ipc;
mod bench;
mod conformance;
mod csv_bad;
mod csv_read;
mod csv_write;
mod excel;
mod file_view;
mod json;
mod jsonl_read;
mod jsonl_write;
mod limited;
#[cfg(feature = "object-store")]
mod objects;
mod parquet;
mod parquet_file;
mod parquet_types;
mod progress;
mod race;
mod round_trip;
mod sandbox;

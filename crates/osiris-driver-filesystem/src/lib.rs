//! CSV and Parquet files for Osiris: two extractors and two writers.
//!
//! | component | what it does |
//! | --- | --- |
//! | `filesystem.csv_extractor` | reads CSV files: every byte is looked at once before DuckDB loads them, so types hold for the whole file |
//! | `filesystem.csv_writer` | writes CSV files: the same rows make the same bytes |
//! | `filesystem.parquet_extractor` | reads Parquet files and hive partitions through DuckDB |
//! | `filesystem.parquet_writer` | writes Parquet files through DuckDB and reads their footers back |
//!
//! A written file appears under its name whole or not at all. DuckDB reads and writes the formats natively where it can;
//! this crate decides names, types and what is an error.
//!
//! ```
//! let mut registry = osiris_core::Registry::new();
//! osiris_driver_filesystem::register(&mut registry)?;
//! assert_eq!(registry.iter().count(), 4);
//! # Ok::<(), osiris_core::Error>(())
//! ```

mod blocking;
mod client;
mod commit;
mod config;
mod csv;
mod destination;
mod error;
mod parquet;
mod scratch;
mod stdio;

pub use config::{
    AddFilename, AllText, ColumnOrder, CsvExtractorConfig, CsvWriterConfig, Dtype, FilesystemConnection, Header,
    Newline, OnBadLines, ParquetCompression, ParquetExtractorConfig, ParquetWriterConfig, ParseDates, Quoting,
    ReadCompression, WriteColumns, WriteCompression, WriteMode,
};
pub use csv::{CsvExtractor, CsvWriter};
pub use parquet::{ParquetExtractor, ParquetWriter};
pub use stdio::Streams;

use osiris_core::{Registry, Result};

/// Adds the four components.
///
/// # Errors
/// When one of them is there already.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_io(registry, Streams::default())
}

/// Adds the four components with other standard streams.
///
/// # Errors
/// When one of them is there already.
pub fn register_with_io(registry: &mut Registry, streams: Streams) -> Result<()> {
    registry.extractor(CsvExtractor::with_io(streams.clone())).add()?;
    registry.writer(CsvWriter::with_io(streams.clone())).add()?;
    registry.extractor(ParquetExtractor::with_io(streams.clone())).add()?;
    registry.writer(ParquetWriter::with_io(streams)).add()
}

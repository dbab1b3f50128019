//! CSV, JSON, Excel, Parquet and Arrow files for Osiris: extractors and writers.
//!
//! | component | what it does |
//! | --- | --- |
//! | `filesystem.arrow_extractor` | reads Arrow IPC files (Feather version 2) and streams: types exact or refused |
//! | `filesystem.arrow_writer` | writes Arrow IPC files and streams |
//! | `filesystem.csv_extractor` | reads CSV files: scans every byte once before DuckDB loads them, so types hold for the whole file |
//! | `filesystem.csv_writer` | writes CSV files: the same rows produce the same bytes |
//! | `filesystem.json_extractor` | reads JSON documents with an array of rows, as a stream: types as for JSON lines |
//! | `filesystem.json_writer` | writes one JSON array with a row in each line |
//! | `filesystem.jsonl_extractor` | reads JSON lines: types follow the values, late keys widen the table |
//! | `filesystem.jsonl_writer` | writes JSON lines: exact numbers, JSON columns as JSON, the same rows produce the same bytes |
//! | `filesystem.excel_extractor` | reads a sheet of an Excel workbook (`.xlsx`): dates of both epochs, errors as rejects |
//! | `filesystem.parquet_extractor` | reads Parquet files and hive partitions through DuckDB |
//! | `filesystem.parquet_writer` | writes Parquet files through DuckDB and reads their footers back |
//!
//! With the feature `object-store` each of them also takes addresses of stores: `s3://bucket/key`, `gs://`, `az://`, and for
//! reading `https://`. An object is downloaded to the scratch directory first and read from there; a file is written there and
//! uploaded.
//!
//! A written file appears under its name completely or not at all. DuckDB reads CSV and Parquet, and writes Parquet,
//! natively; this crate decides names, types and what is an error.
//!
//! # How types of CSV columns are inferred
//!
//! From every value of every file, never from a sample. A column gets a type only if every value in it, written back from
//! that type, would mean the same and no spelling that could be an identity would be lost; otherwise it is text. `BIGINT`
//! takes whole numbers without leading zeros, plus sign or spaces (`00123`, `+420` and ` 12` make a column text); whole
//! numbers beyond 64 bits make it `DECIMAL(38,0)`. Numbers with a decimal point or a signed exponent (`1.10`, `.5`, `1e-05`;
//! in their company also `1e5`, `NaN`, `inf`) are `DOUBLE` while a double has the same digits, as it does up to 15 of them;
//! else `DECIMAL` if 38 digits hold them all. `BOOLEAN` takes `true` and `false` in lower, upper or title case, not `yes`, `t`
//! or `1`. `DATE` takes `YYYY-MM-DD`; `TIMESTAMP` the same with `T` or a space and `HH:MM[:SS[.ffffff]]`, and dates among
//! timestamps become midnight; where every value has `Z` or an offset, the column holds points in time; `TIME` takes
//! `HH:MM:SS[.ffffff]`. Any other date format, such as `13/12/2024`, is text unless `parse_dates` states it. The empty field
//! is NULL; `""` is the empty text in a column of text and NULL in any other; a column without values is text. `dtype: text`
//! switches inference off.
//!
//! Names in a header are made unique whatever their case: `a, A, , a` becomes `a`, `A_1`, `column2`, `a_2`.
//!
//! # How JSON becomes columns
//!
//! Each key of a line, or of an element of the array of a document, is a column, of the type that holds all its values exactly: `BIGINT`, `DOUBLE` where that is exactly what the text
//! says, `DECIMAL` for more digits, `BOOLEAN`, `VARCHAR`. Lists and objects are kept as `JSON`, their text unchanged; so are
//! columns whose values are of several JSON types, and numbers that no type holds. A key that comes late is NULL in the rows
//! before. `dtype` sets types that JSON does not have, such as dates.
//!
//! # Example
//!
//! ```
//! let mut registry = osiris_core::Registry::new();
//! osiris_driver_filesystem::register(&mut registry)?;
//! assert_eq!(registry.iter().count(), 11);
//! # Ok::<(), osiris_core::Error>(())
//! ```

mod blocking;
mod checks;
mod choice;
mod client;
mod commit;
mod compression;
mod config;
mod csv;
mod destination;
mod error;
mod excel;
mod ipc;
mod json;
mod jsonl;
mod lock;
mod objects;
mod parquet;
mod publish;
mod resolve;
mod scratch;
mod stdio;
mod text;

pub use config::{
    AddFilename, AllText, ArrowCompression, ArrowExtractorConfig, ArrowWriterConfig, ColumnOrder, CsvExtractorConfig,
    CsvWriterConfig, Dtype, ExcelExtractorConfig, FilesystemConnection, Header, JsonExtractorConfig, JsonWriterConfig,
    JsonlExtractorConfig, JsonlWriterConfig, Newline, Nulls, OnBadLines, ParquetCompression, ParquetExtractorConfig,
    ParquetWriterConfig, ParseDates, Quoting, ReadCompression, Sheet, SheetHeader, WriteColumns, WriteCompression,
    WriteMode,
};
pub use csv::{CsvExtractor, CsvWriter};
pub use excel::ExcelExtractor;
pub use ipc::{ArrowExtractor, ArrowWriter};
pub use json::{JsonExtractor, JsonWriter};
pub use jsonl::{JsonlExtractor, JsonlWriter};
pub use parquet::{ParquetExtractor, ParquetWriter};
pub use stdio::Streams;

use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Family, Health, Registry, Result};

/// The connection family of files. There is nothing to discover; the check is for object stores.
pub struct Filesystem;

#[async_trait]
impl Family for Filesystem {
    const NAME: &'static str = "filesystem";
    #[cfg(feature = "object-store")]
    const SCHEMES: &'static [&'static str] = &["file", "s3", "gs", "az", "https", "http"];
    #[cfg(not(feature = "object-store"))]
    const SCHEMES: &'static [&'static str] = &["file"];
    const HAS_DISCOVERY: bool = false;
    const HAS_DOCTOR: bool = true;
    type Connection = FilesystemConnection;

    async fn check(&self, connection: &FilesystemConnection, limit: Duration) -> Health {
        client::check(connection, limit).await
    }
}

/// Registers the components, and `filesystem.extractor` and `filesystem.writer`, which are aliases of the ones for
/// the format of the step's path.
///
/// # Errors
/// When one of them is already registered.
pub fn register(registry: &mut Registry) -> Result<()> {
    register_with_io(registry, Streams::default())
}

/// The same with other standard streams.
///
/// # Errors
/// When one of them is already registered.
pub fn register_with_io(registry: &mut Registry, streams: Streams) -> Result<()> {
    registry
        .family(Filesystem)
        .extractor(CsvExtractor::with_io(streams.clone()))
        .writer(CsvWriter::with_io(streams.clone()))
        .extractor(JsonExtractor::with_io(streams.clone()))
        .writer(JsonWriter::with_io(streams.clone()))
        .extractor(JsonlExtractor::with_io(streams.clone()))
        .writer(JsonlWriter::with_io(streams.clone()))
        .extractor(ExcelExtractor::with_io(streams.clone()))
        .extractor(ArrowExtractor::with_io(streams.clone()))
        .writer(ArrowWriter::with_io(streams.clone()))
        .extractor(ParquetExtractor::with_io(streams.clone()))
        .writer(ParquetWriter::with_io(streams))
        .alias("filesystem.extractor", choice::EXTRACTORS, choice::extractor)
        .alias("filesystem.writer", choice::WRITERS, choice::writer)
        .add()
}

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

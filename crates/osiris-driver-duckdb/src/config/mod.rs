//! The configurations as pipelines and connections files have them. Their doc comments are the reference; nothing here
//! does I/O.

mod connection;
mod extractor;
mod processor;
mod writer;

pub use connection::ConnectionConfig;
pub use extractor::ExtractorConfig;
pub use processor::{AcceptedValues, Assertion, Materialize, OneOrMany, ProcessorConfig, RowCount, Severity};
pub use writer::WriterConfig;

pub(crate) use extractor::MAIN;
pub(crate) use processor::validate;

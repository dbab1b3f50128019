//! The configurations as pipelines and connections files have them. Their doc comments are the reference; nothing here
//! does I/O.

mod connection;
mod extractor;
mod writer;

pub use connection::ConnectionConfig;
pub use extractor::ExtractorConfig;
pub use writer::WriterConfig;

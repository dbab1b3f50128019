//! The configuration of the component and its connection. The doc comments are the reference; nothing here does I/O.

mod connection;
mod extractor;
mod timestamp;

pub use connection::{ConnectionConfig, ProjectId, Region};
pub use extractor::{DataType, ExtractorConfig, Flatten};
pub use timestamp::Timestamp;

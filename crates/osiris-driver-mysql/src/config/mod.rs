//! The configuration of the components, as pipelines write it. The doc comments are the reference; nothing here does I/O.

mod connection;
mod extractor;
mod writer;

pub(crate) use connection::Address;
pub use connection::MysqlConnection;
pub use extractor::*;
pub use writer::*;

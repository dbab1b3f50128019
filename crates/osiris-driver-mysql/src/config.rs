//! The configuration of the components, as pipelines write it. The doc comments are the reference; nothing here does I/O.

mod connection;
mod extractor;
mod tls;
mod writer;

pub(crate) use connection::Address;
pub use connection::MysqlConnection;
pub use extractor::*;
pub(crate) use tls::{Tls, TlsMode};
pub use writer::*;

//! The configuration of the components. The doc comments end up in the component reference. No I/O.

mod connection;
mod dsn;
mod extractor;
mod writer;

pub(crate) use connection::Address;
pub use connection::MysqlConnection;
pub use extractor::*;
pub use writer::*;

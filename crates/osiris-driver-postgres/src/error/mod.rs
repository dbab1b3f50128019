//! Converts server and network errors. A message never has a cell value: one quoted by the server is
//! masked, and its DETAIL, which repeats whole rows, is dropped.

mod server;

use std::io;

use osiris_core::Error;

pub use server::{hint, is_there_already, kind_of, postgres_error, server_error, without_values};

/// The context entry with the server's error code.
pub const CODE: &str = "server error";

/// The server's code of an error: an SQLSTATE such as `23505`.
pub fn sqlstate(error: &Error) -> Option<&str> {
    error.context().iter().find(|(key, _)| *key == CODE).map(|(_, code)| code.as_str())
}

/// Converts an I/O error of the network.
pub fn io_error(error: io::Error, doing: &str) -> Error {
    osiris_sql::error::io_error(error, doing, "`host` and `port` or those in `dsn`")
}

//! What the SQL databases of Osiris share: the guard that lets a statement only read, TLS to database servers,
//! reading by cursors and ranges, batches of values, and checking and loading what is written to a table.
//!
//! For authors of drivers. It knows the dialects that it guards, and no driver; it opens no connection of its own.

pub mod batch;
pub mod calendar;
pub mod catalog;
pub mod config;
#[cfg(feature = "dsn")]
pub mod dsn;
pub mod error;
pub mod guard;
pub mod read;
pub mod text;
pub mod tls;
pub mod write;

#[cfg(feature = "tls")]
mod relay;
mod within;

#[cfg(feature = "tls")]
pub use relay::relay;
pub use within::{CONNECT_TIMEOUT, CheckLimit, within};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

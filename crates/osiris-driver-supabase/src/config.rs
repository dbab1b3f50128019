//! The configuration of the components, as pipelines write it. The doc comments are the reference; nothing here does I/O.

mod connection;
mod dsn;
mod extractor;
mod source;
mod writer;

pub(crate) use connection::DirectAddress;
pub use connection::{ChannelChoice, SupabaseConnection};
pub use extractor::*;
pub(crate) use source::source;
pub use writer::*;

//! The configuration of the components. The doc comments end up in the component reference. No I/O.

mod connection;
mod extractor;
mod source;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use connection::is_supabase;
pub use connection::{ChannelChoice, SupabaseConnection};
pub use extractor::*;
pub(crate) use source::source;
pub use writer::*;

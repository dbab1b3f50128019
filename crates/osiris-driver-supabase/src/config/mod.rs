//! The configuration of the components, as pipelines write it. The doc comments are the reference; nothing here does I/O.

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

use osiris_core::{Problem, looks_like_token};

/// `key` of a step names columns, `key` of a connection is the key of the API: one is easily taken for the other. What looks like the
/// latter is refused, and never shown.
fn key_is_no_token(names: &[String]) -> Option<Problem> {
    let found = names.iter().any(|name| looks_like_token(name));
    found.then(|| {
        Problem::error("/key", "is an API key, and a step's `key` names columns").with_hint(
            "put it into the connection, as a variable: `key: ${SUPABASE_KEY}`; it has been in a pipeline file, so replace it by a new one",
        )
    })
}

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

use osiris_core::{Problem, looks_like_token};

/// `key` of a step names columns, `key` of a connection is the API key: they are easily confused. A value that looks
/// like the latter is refused and never shown.
fn key_is_no_token(names: &[String]) -> Option<Problem> {
    let found = names.iter().any(|name| looks_like_token(name));
    found.then(|| {
        Problem::error("/key", "is an API key, but `key` of a step names columns").with_hint(
            "set it in the connection, as a variable: `key: ${SUPABASE_KEY}`; it was exposed in a pipeline file, so replace it with a new one",
        )
    })
}

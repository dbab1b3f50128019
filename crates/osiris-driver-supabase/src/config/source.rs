//! Which server a connection leads to, by channel: a saved state is valid for one server and one channel, since
//! each formats values differently.

use super::{ChannelChoice, SupabaseConnection};

/// The parts of a source that come from fields of the connection, some of them inside a secret URL.
pub(crate) fn source(connection: &SupabaseConnection) -> Vec<(&'static str, String)> {
    let is_direct = match connection.channel {
        ChannelChoice::Postgres => true,
        ChannelChoice::Rest => false,
        ChannelChoice::Auto => connection.direct.is_some(),
    };
    match (&connection.direct, &connection.rest) {
        (Some(direct), _) if is_direct => vec![
            ("channel", "postgres".to_owned()),
            ("server", direct.address.to_string()),
            ("database", direct.address.database.clone()),
        ],
        (_, Some(rest)) => vec![("channel", "rest".to_owned()), ("url", rest.url.to_string())],
        _ => Vec::new(),
    }
}

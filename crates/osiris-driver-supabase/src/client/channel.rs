//! The channel of the rows: decided by the connection, never by what is reachable, since the two channels
//! have different guarantees.

use osiris_core::{Error, Result};

use crate::config::{ChannelChoice, SupabaseConnection};

/// A channel for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// COPY from and to the database.
    Postgres,
    /// Requests to PostgREST.
    Rest,
}

impl Channel {
    /// The name in `channel`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Rest => "rest",
        }
    }

    /// The channel chosen by the connection.
    ///
    /// # Errors
    /// When the connection lacks the fields for it; connections in configuration files are checked before.
    pub(crate) fn choose(connection: &SupabaseConnection) -> Result<Self> {
        match (connection.channel, connection.direct.is_some(), connection.rest.is_some()) {
            (ChannelChoice::Auto | ChannelChoice::Postgres, true, _) => Ok(Self::Postgres),
            (ChannelChoice::Auto | ChannelChoice::Rest, _, true) => Ok(Self::Rest),
            _ => Err(Error::validation("the connection lacks the fields that its `channel` needs")
                .with_hint("set `dsn` or `pg_host` for `postgres`; `url` or `project_id`, and `key` for `rest`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn chosen(fields: Value) -> Channel {
        Channel::choose(&osiris_core::ConfigSchema::parse(&fields).unwrap()).unwrap()
    }

    #[test]
    fn the_database_is_preferred_where_it_is_known_and_the_choice_can_be_made_for_good() {
        let both = |channel: &str| {
            chosen(json!({"url": "http://h", "key": "k", "dsn": "postgres://u:p@h/d", "channel": channel}))
        };
        assert_eq!(
            (both("auto"), both("postgres"), both("rest")),
            (Channel::Postgres, Channel::Postgres, Channel::Rest)
        );
        assert_eq!(chosen(json!({"url": "http://h", "key": "k"})), Channel::Rest);
        assert_eq!(chosen(json!({"pg_host": "h"})), Channel::Postgres);
    }
}

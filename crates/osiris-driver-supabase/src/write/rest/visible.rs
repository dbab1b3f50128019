//! Whether a table that the API does not describe is there all the same: the API describes to a key only what it may use,
//! as of the last time that it read the database.

use osiris_core::{Error, Result};
use osiris_http::server_message;

use super::refusal::is_not_noticed;
use crate::client::rest::table::TableApi;
use crate::error::{is_there_already, sqlstate};

const LOOKING: &str = "looking for the table";

/// Makes sure that the table is not there.
///
/// # Errors
/// It is there: the key has no privilege on it, or the API has not noticed it. Or the request fails.
pub(super) async fn ensure_absent(api: &TableApi) -> Result<()> {
    let request = api.request(api.from().select("*"), LOOKING)?.query([("limit", "0")]);
    match api.fetch(&request).await {
        Ok(_) => Err(not_noticed(api)),
        Err(error) if is_not_noticed(&error) => Ok(()),
        Err(error) if sqlstate(&error) == Some("42501") => Err(not_visible(api).with_source(error)),
        Err(error) => Err(error),
    }
}

/// The error of creating a table: if the table is there already, the API does not see it.
pub(super) fn of_creating(api: &TableApi, error: Error) -> Error {
    let is_there = match sqlstate(&error) {
        Some(state) => is_there_already(state, error.message()),
        // The SQL endpoint gives the server's message and no code, or has the code in the message.
        None => server_message(&error)
            .is_some_and(|said| said.contains("already exists") || is_there_already("23505", said)),
    };
    if is_there { not_noticed(api).with_source(error) } else { error }
}

fn not_visible(api: &TableApi) -> Error {
    Error::permission(format!("the table `{}` is there, but not visible to this key", api.shown())).with_hint(format!(
        "grant its role access, such as `GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO service_role`, or use the service key",
        api.shown()
    ))
}

fn not_noticed(api: &TableApi) -> Error {
    Error::validation(format!("the table `{}` is there, but the API does not describe it to this key", api.shown()))
        .with_hint("reload the API's schema cache (NOTIFY pgrst, 'reload schema'); or grant the key's role access to the table")
}

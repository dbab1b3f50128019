//! What to do about an error of the database that has to do with Supabase.

use osiris_core::Error;
use osiris_driver_postgres::PostgresConnection;

use crate::config::is_supabase;

/// Supabase's databases have certificates of Supabase's own authority.
const OWN_AUTHORITY: &str = "download the certificate in the project's database settings and set `ssl_ca` to it, or write \
                             `tls: required` to have the server unverified";

/// The error of connecting to the database, with what helps there.
pub(super) fn of_supabase(error: Error, database: &PostgresConnection, has_rest: bool) -> Error {
    let is_supabase = is_supabase(&database.address.host);
    if is_supabase && database.tls.ca.is_none() && error.report().contains("UnknownIssuer") {
        return error.with_hint(OWN_AUTHORITY);
    }
    let Some(hint) = error.hint() else { return error };
    let mut hint = hint.to_owned();
    if is_supabase && error.is_connection_failed() {
        hint.push_str(
            "; a paused project does not answer, and direct hosts have IPv6 addresses only: the pooler has IPv4",
        );
    }
    if has_rest && error.is_retryable() {
        hint.push_str("; or read and write by the REST API with `channel: rest`");
    }
    error.with_hint(hint)
}

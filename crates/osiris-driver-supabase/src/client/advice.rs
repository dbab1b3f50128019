//! Adapts hints of database errors to Supabase: the PostgreSQL driver only knows its own fields.

use osiris_core::{Error, ErrorKind};
use osiris_driver_postgres::PostgresConnection;

use crate::config::is_supabase;
use crate::error::sqlstate;

/// The certificates of Supabase's databases are signed by its own CA.
const OWN_AUTHORITY: &str = "download the certificate in the project's database settings and set `ssl_ca` to it, or set \
                             `tls: required` to skip verification";

/// Field names in hints of the PostgreSQL driver, and their names here.
const FIELDS: [(&str, &str); 5] = [
    ("`host`", "`pg_host`"),
    ("`port`", "`pg_port`"),
    ("`user`", "`pg_user`"),
    ("`password`", "`pg_password`"),
    ("`database`", "`pg_database`"),
];

/// Adds Supabase hints to an error of connecting to the database.
pub(super) fn of_connecting(error: Error, database: &PostgresConnection, has_rest: bool) -> Error {
    let is_supabase = is_supabase(&database.address.host);
    if is_supabase && database.tls.ca.is_none() && error.report().contains("UnknownIssuer") {
        return error.with_hint(OWN_AUTHORITY);
    }
    let error = by_own_fields(error);
    let Some(hint) = error.hint() else { return error };
    let mut hint = hint.to_owned();
    let is_of_network = matches!(error.kind(), ErrorKind::Network | ErrorKind::Timeout);
    match sqlstate(&error) {
        Some("28P01") => hint.push_str("; a pooler expects the user `postgres.<project reference>`"),
        Some("3D000") => hint.push_str("; Supabase's is `postgres`"),
        None if is_supabase && is_of_network => hint.push_str(
            "; a paused project does not respond, and direct hosts have IPv6 addresses only: the pooler has IPv4",
        ),
        _ => {}
    }
    if has_rest && error.is_retryable() {
        hint.push_str("; or read and write over the REST API with `channel: rest`");
    }
    error.with_hint(hint)
}

/// Renames the fields in the hint of a connection error. Other errors are unchanged.
pub(crate) fn by_own_fields(error: Error) -> Error {
    let Some(hint) = error.hint().filter(|_| error.is_connection_failed()) else { return error };
    let hint = FIELDS.iter().fold(hint.to_owned(), |hint, (name, own)| hint.replace(name, own));
    error.with_hint(hint)
}

#[cfg(test)]
mod tests {
    use osiris_driver_postgres::ServerAddress;
    use osiris_driver_postgres::error::{io_error, server_error};
    use osiris_sql::tls::Tls;

    use super::*;

    const OF_SUPABASE: &str = "db.abcdefgh.supabase.co";

    fn hint(error: Error, host: &str, has_rest: bool) -> String {
        let database = PostgresConnection::new(ServerAddress::new(host), Tls::default());
        let error = of_connecting(error.with_connection_failed(), &database, has_rest);
        error.hint().unwrap().to_owned()
    }

    fn refused() -> Error {
        io_error(std::io::ErrorKind::ConnectionRefused.into(), "connecting")
    }

    #[test]
    fn fields_have_their_names_of_this_family() {
        let own = hint(refused(), "db.example.com", false);
        assert!(own.contains("`pg_host` and `pg_port`") && !own.contains("`host`") && !own.contains("paused"), "{own}");
        let error = Error::validation("no such column").with_hint("check `user`");
        assert_eq!(by_own_fields(error).hint(), Some("check `user`"));
    }

    #[test]
    fn a_project_that_does_not_answer_may_be_paused_and_has_other_addresses() {
        let own = hint(refused(), OF_SUPABASE, true);
        assert!(own.contains("a paused project") && own.contains("pooler") && own.contains("`channel: rest`"), "{own}");
        let wrong = server_error("28P01", "password authentication failed for user \"u\"", "connecting");
        let wrong = hint(wrong, OF_SUPABASE, true);
        assert!(wrong.contains("`postgres.<project reference>`") && !wrong.contains("paused"), "{wrong}");
    }

    #[test]
    fn a_certificate_of_supabases_own_authority_is_told_where_to_be_had() {
        let refused = || osiris_sql::tls::refused("invalid peer certificate: UnknownIssuer".into(), "connecting");
        assert_eq!(hint(refused(), OF_SUPABASE, false), OWN_AUTHORITY);
        assert_ne!(hint(refused(), "db.example.com", false), OWN_AUTHORITY);
    }
}

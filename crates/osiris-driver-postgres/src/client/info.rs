//! What the server is and how it is set up, as far as statements depend on it.

use osiris_core::Result;

use super::backend::Backend;
use super::open::Opened;
use super::session::rows;

/// One server, seen through one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// As the server writes it: `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    /// In one number: 150008.
    pub number: u32,
    /// The role that statements run as.
    pub account: String,
    /// The database.
    pub database: String,
    /// The version of TLS between us and whoever we talk to; none where the connection is not encrypted.
    pub tls: Option<String>,
    /// Whether a pooler is in between, which may give each transaction another session.
    pub pooler: bool,
    /// Whether `\` is a letter like any other in `'...'`.
    pub standard_conforming_strings: bool,
    /// Whether the role may do everything.
    pub superuser: bool,
    /// Whether row level security does not count for the role.
    pub bypass_rls: bool,
    /// Whether this is a standby, which only reads.
    pub in_recovery: bool,
    /// The server's own time zone; sessions of ours are in UTC.
    pub time_zone: String,
    /// The encoding of the database.
    pub encoding: String,
}

const DOING: &str = "asking the server for its version and settings";

/// One statement: behind a pooler two would be answered by two sessions.
const QUESTION: &str = "SELECT current_setting('server_version'), current_setting('server_version_num'), current_user, \
     current_database(), current_setting('standard_conforming_strings'), \
     coalesce((SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), false), \
     coalesce((SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user), false), \
     pg_is_in_recovery(), (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'log_timezone'), \
     current_setting('server_encoding'), a.pid, \
     pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') \
     FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_backend_pid()";

/// Asks over a connection that has just been opened, and notes its process.
pub(super) async fn read(opened: &mut Opened) -> Result<ServerInfo> {
    let answer = rows(&mut opened.connection, QUESTION, DOING).await?;
    let field = |index: usize| answer.first().and_then(|row| row.get(index)?.clone()).unwrap_or_default();
    let own = field(10).parse().ok();
    opened.process = answer.first().and_then(|row| Backend::of_session(&[row.get(10..)?.to_vec()]));
    Ok(ServerInfo {
        version: field(0),
        number: field(1).parse().unwrap_or(0),
        account: field(2),
        database: field(3),
        tls: opened.tls.clone(),
        // A server's key names the process that answers; a pooler makes up keys of its own.
        pooler: opened.key_process.is_some() && opened.key_process != own,
        standard_conforming_strings: field(4) == "on",
        superuser: field(5) == "t",
        bypass_rls: field(6) == "t",
        in_recovery: field(7) == "t",
        time_zone: field(8),
        encoding: field(9),
    })
}

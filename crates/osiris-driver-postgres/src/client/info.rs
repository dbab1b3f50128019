//! Version, settings and account of the server that statements depend on.

use osiris_core::Result;

use super::backend::Backend;
use super::open::Opened;
use super::session::rows;

/// A server, as seen by one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// As the server reports it: `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    /// As a number: 150008.
    pub number: u32,
    /// The role that runs statements.
    pub account: String,
    /// The database.
    pub database: String,
    /// The TLS version of the connection; `None` without TLS.
    pub tls: Option<String>,
    /// Whether the connection goes through a pooler, which may give each transaction another session.
    pub pooler: bool,
    /// Whether `\` is an ordinary character in `'...'`.
    pub standard_conforming_strings: bool,
    /// Whether the role is a superuser.
    pub superuser: bool,
    /// Whether the role bypasses row level security.
    pub bypass_rls: bool,
    /// Whether the server is a read-only standby.
    pub in_recovery: bool,
    /// The server's time zone; our sessions use UTC.
    pub time_zone: String,
    /// The encoding of the database.
    pub encoding: String,
}

impl ServerInfo {
    /// Whether it has `transaction_timeout`.
    pub(crate) fn limits_transactions(&self) -> bool {
        self.number >= 170_000
    }
}

const CONTEXT: &str = "reading the server's version and settings";

/// One statement, since two could run in two sessions behind a pooler.
const QUESTION: &str = "SELECT current_setting('server_version'), current_setting('server_version_num'), current_user, \
     current_database(), current_setting('standard_conforming_strings'), \
     coalesce((SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), false), \
     coalesce((SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user), false), \
     pg_is_in_recovery(), (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'log_timezone'), \
     current_setting('server_encoding'), a.pid, \
     pg_catalog.to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') \
     FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_backend_pid()";

/// Reads them over a new connection, and records its process.
pub(super) async fn read(opened: &mut Opened) -> Result<ServerInfo> {
    let answer = rows(&mut opened.connection, QUESTION, CONTEXT).await?;
    let field = |index: usize| answer.first().and_then(|row| row.get(index)?.clone()).unwrap_or_default();
    let own = field(10).parse().ok();
    opened.process = answer.first().and_then(|row| Backend::of_session(&[row.get(10..)?.to_vec()]));
    Ok(ServerInfo {
        version: field(0),
        number: field(1).parse().unwrap_or(0),
        account: field(2),
        database: field(3),
        tls: opened.tls.clone(),
        // The key of a server has its process id; a pooler generates its own keys.
        pooler: opened.key_process.is_some() && opened.key_process != own,
        standard_conforming_strings: field(4) == "on",
        superuser: field(5) == "t",
        bypass_rls: field(6) == "t",
        in_recovery: field(7) == "t",
        time_zone: field(8),
        encoding: field(9),
    })
}

//! The report of the doctor: server information and privileges of the role.

use osiris_core::Result;
use osiris_sql::tls::Reach;

use crate::client::Client;
use crate::discover::is_user_data;

const CONTEXT: &str = "checking the privileges on the tables";
/// The report for a working connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The message, without a full stop.
    pub message: String,
    /// Remarks about a working connection.
    pub remarks: Vec<String>,
    /// Facts by name.
    pub details: Vec<(&'static str, String)>,
}

impl Report {
    /// A report of a working connection.
    pub fn new(message: String, remarks: Vec<String>, details: Vec<(&'static str, String)>) -> Self {
        Self { message, remarks, details }
    }
}

/// Maximum number of tables to name.
const NAMED: usize = 5;

/// Queries the server. Tables of the `excluded` schemas are ignored.
///
/// # Errors
/// When the request fails.
pub async fn report(client: &Client, excluded: &[&str]) -> Result<Report> {
    let ours = is_user_data(excluded);
    let info = client.info().clone();
    let mut remarks = Vec::new();
    let mut session = client.acquire().await?;
    // Two lists in one statement: tables that cannot be read, and tables hidden by row level security.
    let sql = format!(
        "SELECT n.nspname || '.' || c.relname, pg_catalog.has_table_privilege(c.oid, 'SELECT') \
         OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), \
         pg_catalog.row_security_active(c.oid) AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_policy p \
         WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*') AND (0 = ANY (p.polroles) OR EXISTS \
         (SELECT 1 FROM pg_catalog.unnest(p.polroles) r(oid) WHERE pg_catalog.pg_has_role(current_user, r.oid, 'USAGE')))) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE {ours} AND c.relkind IN ('r', 'p') ORDER BY 1"
    );
    // All work is done in transactions: a pooler that does not have them must not pass for a server that works.
    session.begin("BEGIN READ ONLY", CONTEXT).await?;
    let tables = session.rows(&sql, CONTEXT).await?;
    session.execute("COMMIT", CONTEXT).await?;
    session.release().await;
    let is = |field: Option<&Option<String>>, wanted: &str| field.and_then(Option::as_deref) == Some(wanted);
    let name = |row: &Vec<Option<String>>| row.first().cloned().flatten().unwrap_or_default();
    let closed: Vec<String> = tables.iter().filter(|row| is(row.get(1), "f")).map(name).collect();
    let hidden = tables.iter().filter(|row| is(row.get(1), "t") && is(row.get(2), "t"));
    let hidden: Vec<String> = hidden.map(name).collect();
    if info.pooler {
        remarks
            .push("connected through a pooler: `partition_by` reads over as many sessions as it has free".to_owned());
    }
    if info.in_recovery {
        remarks.push("this server is a read-only standby".to_owned());
    }
    if info.number > 0 && info.number < 120_000 {
        remarks.push("this version is older than the oldest supported one (12)".to_owned());
    }
    if !hidden.is_empty() {
        remarks.push(format!(
            "row level security hides all rows of {}: add a policy for `{}`, or use a role that bypasses it",
            list(&hidden),
            info.account
        ));
    }
    if !closed.is_empty() {
        remarks.push(format!("no privilege to read {}: GRANT SELECT ON it TO {}", list(&closed), info.account));
    }
    let connection = client.target().connection();
    let mode = connection.tls.mode;
    let beyond = Reach::of_host(&connection.address.host) != Reach::Loopback;
    if beyond && !mode.verifies() {
        remarks.push(
            "the identity of the server is not verified: set `tls: verify-full`, and `ssl_ca` if it uses a private CA"
                .to_owned(),
        );
    }
    Ok(Report {
        message: format!("signed in to PostgreSQL {} as `{}`", info.version, info.account),
        remarks,
        details: vec![
            ("account", info.account),
            ("database", info.database),
            ("server_version", info.version),
            ("encoding", info.encoding),
            ("tls", info.tls.unwrap_or_else(|| "none".to_owned())),
            ("server_verified", mode.verified().to_owned()),
            ("pooler", if info.pooler { "transaction" } else { "none" }.to_owned()),
            ("row_level_security", if info.bypass_rls { "bypassed" } else { "applies" }.to_owned()),
        ],
    })
}

fn list(tables: &[String]) -> String {
    let named = tables.iter().take(NAMED).map(|table| format!("`{table}`")).collect::<Vec<_>>().join(", ");
    match tables.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

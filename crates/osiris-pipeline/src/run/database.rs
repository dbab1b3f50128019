//! Whether a step reads from the database that another one writes to, under whatever names: a table that is being read may be
//! the one that is to be changed.

use std::collections::BTreeMap;
use std::path::Path;

use osiris_core::DestinationId;
use osiris_core::state::StepOrigin;
use serde_json::Value;

use crate::{Plan, PlannedStep};

/// Whether both steps lead to the same database.
pub(super) fn is_shared(plan: &Plan, source: &PlannedStep, receiver: &PlannedStep) -> bool {
    let family = |step: &PlannedStep| step.driver.family().name();
    let reference = source.connection().reference();
    let is_same_alias = reference.is_some() && reference == receiver.connection().reference();
    let is_same_family = family(source) == family(receiver);
    let (from, to) = (Address::of(plan, source), Address::of(plan, receiver));
    // Of different families as well: the database of a Supabase project is one of PostgreSQL.
    let is_where_it_writes = receiver.prepared.destination().is_some_and(|destination| {
        let servers: Vec<&str> = destination.servers().collect();
        from.leads_to(&servers, is_same_family) || from.is_file(&servers, &plan.pipeline().source.directory())
    });
    is_same_alias || is_where_it_writes || (is_same_family && !from.fields.is_empty() && from.fields == to.fields)
}

/// Where a connection leads, as far as the identity of a source says.
struct Address {
    /// The fields of the identity, without those that have their defaults.
    fields: BTreeMap<String, String>,
    host: Option<String>,
    port: Option<String>,
}

impl Address {
    fn of(plan: &Plan, step: &PlannedStep) -> Self {
        let identity = step.prepared.source(&StepOrigin::default(), plan.redactor());
        let fields = identity.fields().filter_map(|(name, value)| {
            let name = name.strip_prefix("connection.")?;
            Some((name.to_owned(), value.to_owned()))
        });
        let schema = &step.driver.connection_schema().json()["properties"];
        Self::new(fields.collect(), |field| match &schema[field]["default"] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    }

    fn new(fields: BTreeMap<String, String>, default: impl Fn(&str) -> Option<String>) -> Self {
        let field = |name: &str| fields.get(name).cloned().or_else(|| default(name));
        let (host, port) = (field("host"), field("port"));
        Self { fields, host, port }
    }

    /// The server, as a destination names it.
    fn server(&self) -> Option<String> {
        let named = |host: &str, port: &str| Some(DestinationId::server(host, port.parse().ok()?));
        match (self.fields.get("server"), self.fields.get("socket")) {
            (Some(server), _) => {
                let normal = server.rsplit_once(':').and_then(|(host, port)| named(host, port));
                Some(normal.unwrap_or_else(|| server.clone()))
            }
            (None, Some(socket)) => Some(real(Path::new(socket))),
            (None, None) => named(self.host.as_deref()?, self.port.as_deref()?),
        }
    }

    /// Whether one of `servers`, the names that a destination's server is known by, is this one. A name with a database is that of
    /// a server whose databases do not see each other: then the database has to be the same as well.
    fn leads_to(&self, servers: &[&str], is_same_family: bool) -> bool {
        let Some(ours) = self.server() else { return false };
        let database = self.fields.get("database").map(|database| format!("/{database}"));
        servers.iter().any(|name| {
            let server = database.as_deref().and_then(|database| name.strip_suffix(database)).unwrap_or(name);
            server == ours || (is_same_family && may_be_same_socket(server, &ours))
        })
    }

    /// Whether one of `names` is the file of this connection.
    fn is_file(&self, names: &[&str], base: &Path) -> bool {
        self.fields.get("path").is_some_and(|path| {
            let path = real(&base.join(path));
            names.iter().any(|name| *name == path)
        })
    }
}

/// Which port a socket of this machine belongs to is not known.
fn may_be_same_socket(one: &str, other: &str) -> bool {
    let is_socket = |server: &str| server.starts_with('/');
    let is_here = |server: &str| is_socket(server) || server.starts_with("localhost:");
    (is_socket(one) || is_socket(other)) && is_here(one) && is_here(other)
}

fn real(path: &Path) -> String {
    path.canonicalize().as_deref().unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(fields: &[(&str, &str)]) -> Address {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let default = |field: &str| match field {
            "host" => Some("localhost".to_owned()),
            "port" => Some("3306".to_owned()),
            _ => None,
        };
        Address::new(fields.collect(), default)
    }

    #[test]
    fn a_server_is_found_by_any_name_of_this_machine() {
        for host in ["127.0.0.1", "::1", "[::1]", "LOCALHOST", "localhost.", "127.1.2.3", "0.0.0.0", "::ffff:127.0.0.1"]
        {
            assert!(address(&[("host", host)]).leads_to(&["localhost:3306"], true), "{host}");
        }
        for server in ["127.0.0.1:5432", "[::1]:5432", "localhost:5432"] {
            let from = address(&[("server", server), ("database", "shop")]);
            assert!(from.leads_to(&["https://h", "localhost:5432/shop"], false), "{server}");
            assert!(!from.leads_to(&["localhost:5432/lake"], false), "its databases do not see each other");
        }
        assert!(!address(&[("host", "db.example.com")]).leads_to(&["localhost:3306"], true));
        assert!(!address(&[("port", "3307")]).leads_to(&["localhost:3306"], true));
    }

    #[test]
    fn tables_with_a_schema_are_anywhere_on_a_server() {
        for fields in [&[][..], &[("database", "shop")], &[("database", "lake"), ("host", "127.0.0.1")]] {
            assert!(address(fields).leads_to(&["localhost:3306"], true), "{fields:?}");
        }
    }

    #[test]
    fn a_socket_may_be_that_of_any_server_here() {
        let from = address(&[("socket", "/run/none/mysqld.sock")]);
        assert!(from.leads_to(&["localhost:3306"], true) && from.leads_to(&["/run/other.sock"], true));
        assert!(!from.leads_to(&["db.example.com:3306"], true) && !from.leads_to(&["localhost:5432/shop"], false));
        assert!(address(&[]).leads_to(&["/run/none/mysqld.sock"], true));
        assert!(!address(&[]).leads_to(&["/data/shop.db"], false), "a file of another family");
    }

    #[test]
    fn a_file_is_found_by_any_path() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("sub")).unwrap();
        std::fs::write(base.join("a.db"), "").unwrap();
        let name = base.join("a.db").display().to_string();
        for path in ["a.db", "./a.db", "sub/../a.db", &name] {
            assert!(address(&[("path", path)]).is_file(&[&name], &base), "{path}");
        }
        assert!(!address(&[("path", "b.db")]).is_file(&[&name], &base));
    }
}

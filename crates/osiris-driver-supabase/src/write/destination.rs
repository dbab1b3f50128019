//! The destination of a step, by all addresses of its connection: a table is the same over both channels.

use osiris_core::DestinationId;
use osiris_sql::write::WriteMode;

use crate::config::{SupabaseConnection, WriterConfig};

/// The identity of the table.
pub(super) fn destination(config: &WriterConfig, connection: &SupabaseConnection) -> DestinationId {
    let table = format!("{}.{}", config.schema(connection), config.table);
    DestinationId::table(servers(connection), &table)
        .replaced(matches!(config.mode, WriteMode::Overwrite | WriteMode::Replace))
}

fn servers(connection: &SupabaseConnection) -> Vec<String> {
    let mut servers = Vec::new();
    let mut add = |name: String| {
        if !servers.contains(&name) {
            servers.push(name);
        }
    };
    if let Some(rest) = &connection.rest {
        let host = rest.url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        match host.strip_suffix(".supabase.co") {
            Some(project) => add(project_name(project)),
            None => {
                let server = DestinationId::server(&host, rest.url.port_or_known_default().unwrap_or(443));
                add(format!("{}://{server}{}", rest.url.scheme(), rest.url.path().trim_end_matches('/')));
            }
        }
    }
    if let Some(direct) = connection.direct.as_ref().map(|direct| &direct.address) {
        let host = direct.host.trim_end_matches('.').to_ascii_lowercase();
        let of_host = host.strip_suffix(".supabase.co").and_then(|host| host.strip_prefix("db."));
        // A pooler serves many projects and gets the project from the user name.
        let of_user = direct.user.split_once('.').map(|(_, project)| project);
        let of_pooler = host.ends_with(".pooler.supabase.com").then_some(of_user).flatten();
        if let Some(project) = of_host.or(of_pooler).filter(|_| direct.database == "postgres") {
            add(project_name(project));
        }
        let tenant = of_pooler.map_or_else(String::new, |project| format!("{project}@"));
        add(format!("{tenant}{}/{}", DestinationId::server(&host, direct.port), direct.database));
    }
    servers
}

fn project_name(project: &str) -> String {
    format!("Supabase project {}", project.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn id(connection: Value, config: Value) -> DestinationId {
        let connection = serde_json::from_value(connection).unwrap();
        destination(&serde_json::from_value(config).unwrap(), &connection)
    }

    #[test]
    fn s8_a_table_is_the_same_one_over_either_channel() {
        let table = || json!({"table": "t"});
        let rest = id(json!({"project_id": "abc", "key": "k", "channel": "rest"}), table());
        let url =
            id(json!({"url": "https://ABC.supabase.co/", "key": "k"}), json!({"table": "t", "mode": "overwrite"}));
        let direct = id(json!({"dsn": "postgresql://postgres:p@db.abc.supabase.co:5432/postgres"}), table());
        let pooler = id(json!({"dsn": "postgresql://postgres.abc:p@eu.pooler.supabase.com:6543/postgres"}), table());
        for other in [&url, &direct, &pooler] {
            assert!(rest.is_same_as(other), "{rest:?} {other:?}");
        }
        assert!(url.replaces() && !rest.replaces());
        let elsewhere = [
            id(json!({"project_id": "abd", "key": "k"}), table()),
            id(json!({"dsn": "postgresql://postgres.abd:p@eu.pooler.supabase.com:6543/postgres"}), table()),
            id(json!({"project_id": "abc", "key": "k"}), json!({"table": "t", "schema": "other"})),
        ];
        for other in &elsewhere {
            assert!(!rest.is_same_as(other) && !pooler.is_same_as(other), "{rest:?} {other:?}");
        }
        // A connection with both addresses has both identities.
        let own = json!({"url": "http://127.0.0.1:3000", "key": "k", "pg_host": "localhost", "pg_port": 5433, "tls": "disabled"});
        let both = id(own, table());
        assert!(both.is_same_as(&id(json!({"url": "http://localhost:3000", "key": "k"}), table())));
        assert!(both.is_same_as(&id(json!({"pg_host": "127.0.0.1", "pg_port": 5433, "tls": "disabled"}), table())));
    }
}

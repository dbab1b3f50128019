use osiris_core::{ConfigSchema, Connections, Problem, Registry, ResolvedConnection, connection};
use osiris_sql::tls::TlsMode;
use serde_json::{Value, json};

use super::*;

fn parse(fields: Value) -> Result<SupabaseConnection, String> {
    let problems = ConfigSchema::of::<SupabaseConnection>().violations(&fields);
    if !problems.is_empty() {
        return Err(format!("{problems:?}"));
    }
    ConfigSchema::parse(&fields).map_err(|problem| problem.message)
}

#[test]
fn a_project_is_its_address_and_its_key() {
    let connection = parse(json!({"project_id": "abcdefgh", "key": "k"})).unwrap();
    let rest = connection.rest.unwrap();
    assert_eq!(rest.url.as_str(), "https://abcdefgh.supabase.co/");
    assert!(connection.direct.is_none());
    assert_eq!((connection.timeout.as_secs(), connection.connect_timeout.as_secs()), (30, 10));
    for address in ["http://localhost:54321", "http://localhost:54321/", "http://localhost:54321/rest/v1/"] {
        let rest = parse(json!({"url": address, "key": "k"})).unwrap().rest.unwrap();
        assert_eq!(rest.url.as_str(), "http://localhost:54321/");
    }
}

#[test]
fn a_database_has_the_defaults_of_supabase() {
    let direct = parse(json!({"pg_host": "db.example.com"})).unwrap().direct.unwrap();
    assert_eq!(direct.address.to_string(), "db.example.com:5432");
    assert_eq!((direct.address.user.as_str(), direct.address.database.as_str()), ("postgres", "postgres"));
    let both = json!({"url": "http://h", "key": "k", "dsn": "postgres://u:p@h/d?sslmode=verify-full"});
    let both = parse(both).unwrap();
    assert!(both.rest.is_some() && both.direct.is_some());
    assert_eq!(both.tls.mode, TlsMode::VerifyFull);
    let without_key = parse(json!({"url": "http://h", "dsn": "postgres://u:p@h/d"})).unwrap();
    assert!(without_key.rest.is_none() && without_key.direct.is_some());
}

#[test]
fn s38_how_much_tls_there_is_by_default_depends_on_the_host() {
    let mode = |fields: Value| parse(fields).unwrap().tls.mode;
    for host in ["db.abcdefgh.supabase.co", "aws-0-eu-central-1.pooler.supabase.com", "DB.ABCDEFGH.SUPABASE.CO."] {
        assert_eq!(mode(json!({"pg_host": host})), TlsMode::VerifyFull, "{host}");
        assert_eq!(mode(json!({"dsn": format!("postgres://u:p@{host}:6543/postgres")})), TlsMode::VerifyFull, "{host}");
        assert_eq!(mode(json!({"pg_host": host, "tls": "required"})), TlsMode::Required, "{host}");
    }
    assert_eq!(mode(json!({"pg_host": "db.example.com"})), TlsMode::Required);
    assert_eq!(mode(json!({"pg_host": "supabase.co.example.com"})), TlsMode::Required);
    assert_eq!(mode(json!({"dsn": "postgres://u:p@db.example.com/d"})), TlsMode::Required);
    assert_eq!(mode(json!({"dsn": "postgres://u:p@db.example.com/d?sslmode=prefer"})), TlsMode::Preferred);
    assert_eq!(mode(json!({"pg_host": "db.example.com", "tls": "preferred"})), TlsMode::Preferred);
    for host in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(mode(json!({"pg_host": host})), TlsMode::Preferred, "{host}");
    }
}

#[test]
fn what_is_missing_or_contradicts_itself_is_told_by_name() {
    for (fields, wanted) in [
        (json!({}), "set a REST API"),
        (json!({"url": "http://h"}), "`key`: missing"),
        (json!({"key": "k"}), "`key` needs `url`"),
        (json!({"url": "http://h", "key": " "}), "`key`: missing"),
        (json!({"url": "http://h", "project_id": "a", "key": "k"}), "`url` conflicts with `project_id`"),
        (json!({"project_id": "https://h", "key": "k"}), "dashboard"),
        (json!({"url": "ftp://h", "key": "k"}), "http or https"),
        (json!({"url": "https://u:hunter2@h", "key": "k"}), "user or a password"),
        (json!({"url": "https://h?apikey=hunter2", "key": "k"}), "remove the query"),
        (json!({"dsn": "postgres://h", "pg_host": "h", "pg_user": "u"}), "conflicts with `pg_host`, `pg_user`"),
        (json!({"pg_password": "hunter2", "url": "http://h", "key": "k"}), "has no effect without `pg_host`"),
        (json!({"pg_host": "h", "channel": "rest"}), "`channel: rest` needs"),
        (json!({"url": "http://h", "key": "k", "channel": "postgres"}), "`channel: postgres` needs"),
        (json!({"pg_host": "h", "tls": "required", "ssl_ca": "ca.pem"}), "verify-ca"),
        (json!({"pg_host": "h", "pg_port": 0}), "too small"),
        (json!({"hots": "h"}), "host"),
        (
            json!({"pg_host": "/run/postgresql"}),
            "`pg_host`: the host is not a host name or an IP address: it is a path",
        ),
        (json!({"pg_host": "hunter2,h2"}), "`pg_host`: it names more than one host"),
    ] {
        let problem = parse(fields.clone()).unwrap_err();
        assert!(problem.contains(wanted) && !problem.contains("hunter2"), "{fields}: {problem}");
    }
}

#[test]
fn keys_passwords_and_addresses_with_passwords_are_secrets() {
    let schema = ConfigSchema::of::<SupabaseConnection>();
    for field in ["key", "dsn", "pg_password"] {
        assert!(schema.is_secret(field), "{field}");
    }
    for (alias, field) in [
        ("service_role_key", "key"),
        ("anon_key", "key"),
        ("pg_dsn", "dsn"),
        ("sql_dsn", "dsn"),
        ("host", "pg_host"),
        ("port", "pg_port"),
        ("user", "pg_user"),
        ("password", "pg_password"),
        ("database", "pg_database"),
    ] {
        assert_eq!(schema.field_named(alias), Some(field), "{alias}");
    }
    let connection = parse(json!({"url": "http://h", "key": "hunter2", "dsn": "postgres://u:hunter2@h"})).unwrap();
    assert!(!format!("{connection:?}").contains("hunter2"));
}

#[test]
fn s36_g15_an_api_key_as_the_key_of_a_step_is_refused_and_not_shown() {
    let mut registry = Registry::new();
    crate::register(&mut registry).unwrap();
    for key in
        ["sb_secret_0123456789", "sb_publishable_0123456789", "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl"]
    {
        for given in [json!(key), json!(["id", key])] {
            for (component, field) in
                [("supabase.extractor", "key"), ("supabase.writer", "key"), ("supabase.writer", "primary_key")]
            {
                let config = json!({"table": "t", field: given});
                let prepared = registry.get(component).unwrap().prepare(&config, None, std::path::Path::new("."));
                let found: Vec<String> = prepared.config_problems().iter().map(ToString::to_string).collect();
                assert_eq!(found.len(), 1, "{component} {field}: {found:?}");
                assert!(
                    found[0].starts_with("key: `key` of a step holds an API key") && !found[0].contains(key),
                    "{found:?}"
                );
            }
        }
    }
}

/// A connection of these fields in a connections file, with those of a step over them.
fn resolved(fields: Value, overrides: Value) -> (ResolvedConnection, Vec<Problem>) {
    let mut connections = Connections::default();
    connections.insert("supabase", "main", fields.as_object().unwrap().clone());
    let (reference, definition) = connections.find("supabase", Some(&"@supabase.main".parse().unwrap())).unwrap();
    let lookup = |name: &str| Some(format!("value-of-{name}"));
    let schema = ConfigSchema::of::<SupabaseConnection>();
    connection::resolve(&reference, definition, overrides.as_object().unwrap(), &schema, &lookup)
}

#[test]
fn g27_the_service_role_key_is_used_where_the_anon_key_is_given_too() {
    let both = json!({"url": "http://h", "anon_key": "${ANON}", "service_role_key": "${SERVICE}"});
    let (connection, problems) = resolved(both, json!({}));
    assert!(problems.is_empty(), "{problems:?}");
    let parsed = parse(connection.fields().clone()).unwrap();
    assert_eq!(parsed.rest.unwrap().key.expose(), "value-of-SERVICE");
    // Both are as secret as before.
    assert_eq!(connection.redactor().scrub("a value-of-ANON b value-of-SERVICE"), "a *** b ***");
    let (_, problems) = resolved(json!({"url": "http://h", "anon_key": "a", "key": "k"}), json!({}));
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found, ["anon_key: `anon_key` and `key` are the same field (keep `key`)"]);
}

#[test]
fn g28_labels_are_no_fields_and_schema_and_retries_are_the_default_of_the_steps() {
    let fields = json!({"url": "http://h", "key": "k", "alias": "main", "description": "The shop", "schema": "shop", "retries": 2});
    let (connection, problems) = resolved(fields, json!({}));
    assert!(problems.is_empty(), "{problems:?}");
    let parsed = parse(connection.fields().clone()).unwrap();
    assert_eq!((parsed.schema(), parsed.retries), ("shop", Some(2)));
    let writer: WriterConfig = serde_json::from_value(json!({"table": "t"})).unwrap();
    assert_eq!((writer.schema(&parsed), writer.direct(&parsed).schema.as_str()), ("shop", "shop"));
    let writer: WriterConfig = serde_json::from_value(json!({"table": "t", "schema": "own"})).unwrap();
    assert_eq!((writer.schema(&parsed), writer.direct(&parsed).schema.as_str()), ("own", "own"));
    let extractor: ExtractorConfig = serde_json::from_value(json!({"table": "t"})).unwrap();
    assert_eq!(extractor.schema(&parsed), "shop");
    assert_eq!(parse(json!({"url": "http://h", "key": "k"})).unwrap().schema(), "public");
}

#[test]
fn g40_a_step_may_set_the_project_where_the_connection_says_so_as_it_may_set_the_url() {
    for field in ["url", "project_id"] {
        let value = json!({"url": "https://other.example.com", "project_id": "other"})[field].clone();
        let mut fields = json!({"key": "k", "url": "https://h.example.com", "project_id": "abcdefgh"});
        fields.as_object_mut().unwrap().retain(|name, _| name == "key" || name == field);
        let (_, problems) = resolved(fields.clone(), json!({field: value}));
        assert!(problems[0].message.contains("would send the data and secrets"), "{problems:?}");
        fields["overrides"] = json!([field]);
        let (connection, problems) = resolved(fields, json!({field: value}));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!((connection.fields()[field].clone(), connection.redirected()), (value, &[field.to_owned()][..]));
    }
}

#[test]
fn g17_g18_fields_without_effect_are_warned_about_unless_they_have_their_default() {
    let mut registry = Registry::new();
    crate::register(&mut registry).unwrap();
    let warnings = |component: &str, config: Value, connection: Value| {
        let driver = registry.get(component).unwrap();
        let schema = driver.connection_schema();
        let resolved = ResolvedConnection::from_fields(connection.as_object().unwrap().clone(), schema);
        let prepared = driver.prepare(&config, Some(&resolved), std::path::Path::new("."));
        assert!(prepared.step().is_some(), "{prepared:?}");
        let problems = prepared.config_problems().iter().chain(prepared.connection_problems());
        problems.map(ToString::to_string).collect::<Vec<_>>()
    };
    let plain = json!({"url": "http://h", "key": "k"});
    let found = warnings("supabase.extractor", json!({"table": "t", "tables": ["a"]}), plain.clone());
    assert_eq!(found, ["tables: `tables` has no effect: discovery reads the tables from the server (remove it)"]);
    let refreshing = json!({"url": "http://h", "key": "k", "auto_refresh_token": true});
    let found = warnings("supabase.extractor", json!({"table": "t"}), refreshing.clone());
    assert_eq!(
        found,
        ["auto_refresh_token: `auto_refresh_token` has no effect: a key is no session that expires (remove it)"]
    );
    for returning in [json!("representation"), json!("*"), json!(["id", "name"]), json!([])] {
        let found = warnings("supabase.writer", json!({"table": "t", "returning": returning}), plain.clone());
        assert!(
            found.len() == 1 && found[0].starts_with("returning: `returning` has no effect"),
            "{returning}: {found:?}"
        );
    }
    let defaults = json!({"url": "http://h", "key": "k", "auto_refresh_token": false});
    assert!(warnings("supabase.writer", json!({"table": "t", "returning": "minimal"}), defaults).is_empty());
    // Nothing else changes: a connection that has it is the same as one that does not.
    let same = |connection: Value| {
        let parsed = parse(connection).unwrap();
        format!("{:?}", (parsed.rest.map(|rest| rest.url), parsed.channel, parsed.timeout, parsed.connect_timeout))
    };
    assert_eq!(same(refreshing), same(plain));
}

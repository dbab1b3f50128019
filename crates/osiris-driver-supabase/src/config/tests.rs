use osiris_core::ConfigSchema;
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

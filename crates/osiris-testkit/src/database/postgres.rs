//! What every driver whose server is PostgreSQL has to keep, whatever it calls the fields of its connection.

use osiris_core::{Catalog, Health, HealthCategory, ResourceKind};
use serde_json::{Value, json};

use super::catalog::{self, fields, names, resource};
use super::secrets::{Said, passwords};
use super::{DatabaseDriver, check, discover, doctor};
use crate::proxy::{Fault, Proxy};
use crate::services::{Postgres, PostgresOptions};
use crate::{InvalidConfig, fault};

/// A driver for PostgreSQL.
pub trait PostgresFamily: DatabaseDriver<Server = Postgres> {
    /// What stands before the names of the fields that say where the server is and who signs in.
    const PREFIX: &'static str;
}

/// What changes in a connection: an address or an account.
const PREFIXED: [&str; 5] = ["database", "host", "password", "port", "user"];

/// A connection with other fields, by the names that they have without a prefix.
fn connection<D: PostgresFamily>(server: &Postgres, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are a mapping") };
    let fields = fields.into_iter().map(|(name, value)| {
        let prefix = if PREFIXED.contains(&name.as_str()) { D::PREFIX } else { "" };
        (format!("{prefix}{name}"), value)
    });
    D::connection(server, Value::Object(fields.collect()))
}

/// A database that works is described, with these details among others.
pub async fn is_described<D: PostgresFamily>(server: &Postgres, details: &[&str]) -> Health {
    let health = check::<D>(&connection::<D>(server, json!({}))).await;
    assert!(health.ok && health.category == HealthCategory::Ok, "{health:?}");
    assert!(health.message.starts_with("signed in to PostgreSQL 1"), "{health:?}");
    for detail in
        ["account", "address", "database", "encoding", "pooler", "row_level_security", "server_version", "tls"]
            .iter()
            .chain(details)
    {
        assert!(health.details.contains_key(*detail), "{detail}: {health:?}");
    }
    assert_eq!(health.details["pooler"], "none");
    let by_line = check::<D>(&json!({"dsn": server.dsn()})).await;
    assert!(by_line.ok, "{by_line:?}");
    health
}

const ACCOUNTS: &str = "CREATE TABLE open (a int); CREATE TABLE closed (a int); CREATE TABLE hidden (a int); \
     ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; CREATE TABLE shown (a int); \
     ALTER TABLE shown ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON shown USING (true); \
     CREATE ROLE plain LOGIN PASSWORD 'pw1'; GRANT SELECT ON open, hidden, shown TO plain; \
     CREATE ROLE away LOGIN PASSWORD 'pw1'; CREATE ROLE asleep NOLOGIN PASSWORD 'pw1'; \
     CREATE ROLE late LOGIN PASSWORD 'pw1' VALID UNTIL '2001-01-01'";

/// What is wrong with an account and names none of the connection's fields.
const OF_ACCOUNTS: &str = "\
no grant: Permission | connecting to 127.0.0.1:PORT as `plain`: permission denied for database \"other\": grant the \
privilege: GRANT CONNECT ON DATABASE ... TO the role
may not sign in: Permission | connecting to 127.0.0.1:PORT as `asleep`: role \"asleep\" is not permitted to log in: use a \
role that can log in, or run ALTER ROLE ... LOGIN
not let in: Permission | connecting to 127.0.0.1:PORT as `away`: pg_hba.conf rejects connection for host \"127.0.0.1\", \
user \"away\", database \"postgres\", no encryption: check the server's pg_hba.conf: it may require encryption \
(`tls: required`), or reject this role, host or database
wants TLS: Network | connecting to 127.0.0.1:PORT as `plain`: the server does not offer TLS: switch TLS on in the \
server, or set `tls: preferred` if the network is trusted
";

/// What is wrong with an account is said with what to do. Returns what names fields of the connection, a line for each case.
pub async fn says_what_is_wrong_with_an_account<D: PostgresFamily>() -> Option<String> {
    let options = PostgresOptions::new().without_tls().with_access("host all away all reject");
    let server = Postgres::start_with(options).await.unwrap()?;
    server.execute(ACCOUNTS).await.unwrap();
    server.execute("CREATE DATABASE other").await.unwrap();
    server.execute("REVOKE CONNECT ON DATABASE other FROM PUBLIC").await.unwrap();
    let with = |fields: Value| connection::<D>(&server, fields);
    let as_user = |user: &str| with(json!({"user": user, "password": "pw1"}));
    let plain = check::<D>(&as_user("plain")).await;
    assert!(plain.ok, "{plain:?}");
    let remarks = plain.message.split_once("; ").unwrap().1;
    assert_eq!(
        remarks,
        "row level security hides all rows of `public.hidden`: add a policy for `plain`, or use a role that bypasses it; \
         no privilege to read `public.closed`: GRANT SELECT ON it TO plain"
    );
    let without_fields = [
        ("no grant", with(json!({"user": "plain", "password": "pw1", "database": "other"}))),
        ("may not sign in", as_user("asleep")),
        ("not let in", as_user("away")),
        ("wants TLS", with(json!({"user": "plain", "password": "pw1", "tls": "required"}))),
    ];
    // Servers say it so since version 14.
    let says = if server.version().await.unwrap() < 14 { "SSL off" } else { "no encryption" };
    let expected = OF_ACCOUNTS.replace("no encryption", says);
    assert_eq!(doctor::failures::<D>(&without_fields).await, expected);
    let with_fields = [
        ("wrong password", with(json!({"user": "plain", "password": "pw2"}))),
        ("no password", with(json!({"user": "plain", "password": null}))),
        ("unknown user", as_user("nobody")),
        ("unknown database", with(json!({"database": "nowhere"}))),
        ("expired", as_user("late")),
    ];
    Some(doctor::failures::<D>(&with_fields).await)
}

/// A server without room is a matter of the network, and passes.
pub async fn says_that_there_is_no_room<D: PostgresFamily>() {
    let options =
        PostgresOptions::new().with_setting("max_connections", "4").with_setting("superuser_reserved_connections", "0");
    let Some(server) = Postgres::start_with(options).await.unwrap() else { return };
    doctor::fill_up::<D>(&server, &connection::<D>(&server, json!({}))).await;
}

/// What is wrong with the way to the server is said within the limit. Returns what names fields of the connection, a line
/// for each case.
pub async fn says_what_is_wrong_with_the_way<D: PostgresFamily>() -> Option<String> {
    let server = Postgres::start().await.unwrap()?;
    let silent = Proxy::start(server.address().unwrap()).unwrap();
    silent.set(Fault::BLACK_HOLE);
    let with = |fields: Value| connection::<D>(&server, fields);
    let said = doctor::failures::<D>(&[("black hole", with(json!({"port": silent.port()})))]).await;
    assert_eq!(
        said,
        "black hole: Timeout | connecting to 127.0.0.1:PORT as `postgres`: no response within 1900 ms: check the address \
         and firewalls\n"
    );
    // The system closes with or without a reset.
    let health = check::<D>(&with(json!({"port": doctor::closing_port()}))).await;
    assert_eq!(health.category, HealthCategory::Network, "{health:?}");
    doctor::answers_within_a_millisecond::<D>(&with(json!({}))).await;
    let with_fields = [
        ("host not found", with(json!({"host": "no-such-host.invalid"}))),
        ("refused", with(json!({"port": fault::refused_port().unwrap()}))),
        ("speaks something else", with(json!({"port": doctor::web_port()}))),
    ];
    Some(doctor::failures::<D>(&with_fields).await)
}

/// Every password signs in, by fields (with each of these others) and in one line, and the errors of all kinds hide it.
/// `more` says other things with the password.
pub async fn hides_passwords<D: PostgresFamily>(
    server: &Postgres,
    said: &mut Said<D>,
    others: &[Value],
    mut more: impl AsyncFnMut(&mut Said<D>, &str),
) {
    for (number, secret) in passwords().enumerate() {
        let literal = format!("'{}'", secret.replace('\'', "''"));
        server.execute(&format!("CREATE ROLE user{number} LOGIN PASSWORD {literal}")).await.unwrap();
        let line = |user: &str| {
            let password: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let address = server.address().unwrap();
            json!({"dsn": format!("postgres://{user}:{password}@{address}/postgres?sslmode=disable")})
        };
        let fields = |user: &str, more: &Value| {
            let mut fields = json!({"user": user, "password": secret});
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            connection::<D>(server, fields)
        };
        let user = format!("user{number}");
        for connection in others.iter().map(|other| fields(&user, other)).chain([line(&user)]) {
            let health = said.health(&connection).await;
            // The client's preparation of passwords (RFC 4013) leaves no control characters.
            assert!(health.ok != secret.contains('\n'), "{health:?}");
        }
        // The same password for somebody who is not known, a database that is not there, a port where nobody listens.
        for broken in [
            fields("nobody", &json!({})),
            line("nobody"),
            fields(&user, &json!({"database": "nowhere"})),
            fields(&user, &json!({"port": 1})),
        ] {
            said.fails(&broken).await;
        }
        more(said, secret).await;
        said.hides(secret);
    }
}

/// Tables and views of every kind, and columns of every kind.
pub const TABLES: &str = "
CREATE TYPE mood AS ENUM ('ok', 'sad');
CREATE DOMAIN code AS varchar(3) NOT NULL;
CREATE TABLE people (part int, id bigint GENERATED ALWAYS AS IDENTITY, dropped int, name varchar(40), \"a b\" numeric(10,2) NOT NULL,
  \"ů\" timestamptz, flag boolean, extra jsonb, raw bytea, tags text[], m mood, c code, doubled bigint GENERATED ALWAYS AS (part * 2) STORED,
  PRIMARY KEY (part, id));
ALTER TABLE people DROP COLUMN dropped;
INSERT INTO people (part, \"a b\", c) VALUES (1, 1, 'a'), (1, 2, 'b'), (2, 3, 'c');
CREATE VIEW adults AS SELECT id, name FROM people;
CREATE TABLE \"Zebra\"\"s\" (\"select\" int);
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE SEQUENCE numbers";

/// Makes the server count the rows of [`TABLES`], and more schemas: `other` of a user, and `auth`, which some take for their own.
pub const SCHEMAS: &str =
    "ANALYZE; CREATE SCHEMA other; CREATE TABLE other.t (a int); CREATE SCHEMA auth; CREATE TABLE auth.users (a int)";

/// What is known of the table `people` of [`TABLES`] and of the view of it.
pub fn knows_people(catalog: &Catalog) {
    assert_eq!(resource(catalog, "adults").kind, ResourceKind::View);
    let people = resource(catalog, "people");
    assert_eq!((people.kind, people.estimated_row_count), (ResourceKind::Table, Some(3)));
    assert!(people.estimated_size_mb.unwrap() > 0.0);
    assert_eq!(fields(people), PEOPLE);
}

const PEOPLE: &str = "\
4 a b: decimal (numeric(10,2)) None
11 c: string (code) Some(3)
12 doubled: integer (bigint) null None
7 extra: json (jsonb) null None
6 flag: boolean (boolean) null None
2 id: integer (bigint) key None
10 m: string (mood) null None
3 name: string (character varying(40)) null Some(40)
1 part: integer (integer) key None
8 raw: binary (bytea) null None
9 tags: array (text[]) null None
5 ů: timestamp (timestamp with time zone) null None";

/// The fingerprint of a catalog follows columns and not rows.
pub async fn fingerprint_follows_columns<D: PostgresFamily>() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let connection = connection::<D>(&server, json!({}));
    catalog::fingerprint_follows_columns::<D>(&server, &connection, "ANALYZE t", "ALTER TABLE t ALTER a TYPE bigint")
        .await;
}

/// Discovery with the account of somebody who may read one table and a column of another.
pub async fn lists_what_may_be_read<D: PostgresFamily>(server: &Postgres) {
    let sql =
        "CREATE ROLE guest LOGIN PASSWORD 'pw1'; GRANT SELECT ON visible TO guest; GRANT SELECT (a) ON half TO guest";
    server.execute(sql).await.unwrap();
    let guest = connection::<D>(server, json!({"user": "guest", "password": "pw1"}));
    assert_eq!(names(&discover::<D>(&guest).await.unwrap()), ["half", "visible"]);
}

/// The tables of [`lists_what_may_be_read`].
pub const HALF_VISIBLE: &str =
    "CREATE TABLE visible (a int); CREATE TABLE hidden (a int); CREATE TABLE half (a int, b int)";

/// Configurations of an extractor by which a database could be changed.
pub fn modifying_reads() -> Vec<Value> {
    let statements = [
        "DELETE FROM source",
        "SELECT 1; DROP TABLE source",
        "SELECT * INTO copy FROM source",
        "WITH x AS (DELETE FROM source RETURNING id) SELECT * FROM x",
        "WITH x AS (SELECT 1) UPDATE source SET id = 1",
        "SELECT * FROM source FOR UPDATE",
        "SELECT pg_advisory_lock(1)",
        "SELECT $$a$$; TRUNCATE source; --$$",
    ];
    statements.into_iter().map(|query| json!({"query": query})).collect()
}

/// A configuration of a writer with everything wrong.
pub fn invalid_write() -> InvalidConfig {
    let config =
        json!({"table": "t", "mode": "overwrite", "on_conflict": "ignore", "dedupe": "last", "columns": ["a", "A"]});
    InvalidConfig::new(config, ["on_conflict", "dedupe", "order_by", "columns"])
}

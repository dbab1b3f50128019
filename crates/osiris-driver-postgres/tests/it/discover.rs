//! Discovery against real tables.

use osiris_core::ResourceKind;
use osiris_testkit::database::catalog::{fields, fingerprint_follows_columns, names, resource};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::json;

use crate::subject::PostgresDriver;
use crate::support::discover;

const TABLES: &str = "
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_and_views_are_listed_with_all_that_is_known_of_them() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    server.execute(TABLES).await.unwrap();
    let more = "ANALYZE; CREATE SCHEMA other; CREATE TABLE other.t (a int); CREATE SCHEMA auth; CREATE TABLE auth.users (a int)";
    server.execute(more).await.unwrap();
    let catalog = discover(&server.connection()).await.unwrap();
    // No schema of a user's is left out, whatever its name is elsewhere.
    assert_eq!(names(&catalog), ["Zebra\"s", "adults", "auth.users", "other.t", "parts", "people"]);
    assert_eq!(resource(&catalog, "adults").kind, ResourceKind::View);
    let people = resource(&catalog, "people");
    assert_eq!((people.kind, people.estimated_row_count), (ResourceKind::Table, Some(3)));
    assert!(people.estimated_size_mb.unwrap() > 0.0);
    insta::assert_snapshot!(fields(people), @"
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
    5 ů: timestamp (timestamp with time zone) null None
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fingerprint_follows_columns_and_not_rows() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    fingerprint_follows_columns::<PostgresDriver>(
        &server,
        &server.connection(),
        "ANALYZE t",
        "ALTER TABLE t ALTER a TYPE bigint",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_may_be_read_is_listed() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    server
        .execute(
            "CREATE TABLE visible (a int); CREATE TABLE hidden (a int); CREATE TABLE half (a int, b int); \
             CREATE ROLE guest LOGIN PASSWORD 'pw1'; GRANT SELECT ON visible TO guest; GRANT SELECT (a) ON half TO guest",
        )
        .await
        .unwrap();
    let guest = server.connection_with(json!({"user": "guest", "password": "pw1"}));
    assert_eq!(names(&discover(&guest).await.unwrap()), ["half", "visible"]);
}

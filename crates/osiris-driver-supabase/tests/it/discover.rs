//! Discovery against real tables, by both ways.

use osiris_core::{Resource, ResourceKind};
use osiris_stand_ins::supabase::tokens;
use osiris_testkit::database::catalog::{fields, fingerprint_follows_columns, names, resource};
use osiris_testkit::services::Postgres;
use serde_json::json;

use crate::subject::Direct;
use crate::support::{discover, project};

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
    let Some(project) = project(TABLES).await else { return };
    let (database, gateway) = (&project.database, &project.gateway);
    database.execute("ANALYZE; CREATE SCHEMA other; CREATE TABLE other.t (a int); CREATE SCHEMA auth; CREATE TABLE auth.users (a int)").await.unwrap();
    let direct = discover(&database.supabase_connection()).await.unwrap();
    assert_eq!(names(&direct), ["Zebra\"s", "adults", "other.t", "parts", "people"]);
    assert_eq!(resource(&direct, "adults").kind, ResourceKind::View);
    let people = resource(&direct, "people");
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

    let rest = discover(&gateway.connection()).await.unwrap();
    assert_eq!(names(&rest), ["Zebra\"s", "adults", "parts", "people"]);
    insta::assert_snapshot!(fields(resource(&rest, "people")), @"
    4 a b: decimal (numeric) None
    11 c: string (character varying) Some(3)
    12 doubled: integer (bigint) null None
    7 extra: json (jsonb) null None
    6 flag: boolean (boolean) null None
    2 id: integer (bigint) key None
    10 m: string (public.mood) null None
    3 name: string (character varying) null Some(40)
    1 part: integer (integer) key None
    8 raw: binary (bytea) null None
    9 tags: array (text[]) null None
    5 ů: timestamp (timestamp with time zone) null None
    ");
    // The same shape: what both know is the same.
    for one in &rest.resources {
        let other = resource(&direct, &one.name);
        let known = |resource: &Resource| -> Vec<_> {
            let fields = resource.fields.iter();
            fields
                .map(|f| (f.name.clone(), f.ordinal, f.field_type.clone(), f.nullable, f.primary_key, f.max_length))
                .collect()
        };
        assert_eq!(known(one), known(other), "{}", one.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fingerprint_follows_columns_and_not_rows() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    fingerprint_follows_columns::<Direct>(
        &server,
        &server.supabase_connection(),
        "ANALYZE t",
        "ALTER TABLE t ALTER a TYPE bigint",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_may_be_read_is_listed() {
    let Some(project) =
        project("CREATE TABLE visible (a int); CREATE TABLE hidden (a int); CREATE TABLE half (a int, b int)").await
    else {
        return;
    };
    project
        .database
        .execute(
            "REVOKE ALL ON hidden, half FROM anon, PUBLIC; CREATE ROLE guest LOGIN PASSWORD 'pw1'; \
             GRANT SELECT ON visible TO guest; GRANT SELECT (a) ON half TO guest",
        )
        .await
        .unwrap();
    project.rest.reload().await.unwrap();
    let guest = project.database.supabase_connection_with(json!({"pg_user": "guest", "pg_password": "pw1"}));
    assert_eq!(names(&discover(&guest).await.unwrap()), ["half", "visible"]);
    let anon = project.gateway.connection_with(json!({"key": tokens::anon()}));
    assert_eq!(names(&discover(&anon).await.unwrap()), ["visible"]);
}

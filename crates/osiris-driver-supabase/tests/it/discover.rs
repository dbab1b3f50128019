//! Discovery against real tables, by both ways.

use osiris_core::Resource;
use osiris_stand_ins::supabase::tokens;
use osiris_testkit::database::catalog::{fields, names, resource};
use osiris_testkit::database::postgres::{self, HALF_VISIBLE, SCHEMAS, TABLES};
use serde_json::json;

use crate::subject::Direct;
use crate::support::{discover, project};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_and_views_are_listed_with_all_that_is_known_of_them() {
    let Some(project) = project(TABLES).await else { return };
    let (database, gateway) = (&project.database, &project.gateway);
    database.execute(SCHEMAS).await.unwrap();
    let direct = discover(&database.supabase_connection()).await.unwrap();
    assert_eq!(names(&direct), ["Zebra\"s", "adults", "other.t", "parts", "people"]);
    postgres::knows_people(&direct);

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
    postgres::fingerprint_follows_columns::<Direct>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_may_be_read_is_listed() {
    let Some(project) = project(HALF_VISIBLE).await else { return };
    project.database.execute("REVOKE ALL ON hidden, half FROM anon, PUBLIC").await.unwrap();
    postgres::lists_what_may_be_read::<Direct>(&project.database).await;
    project.rest.reload().await.unwrap();
    let anon = project.gateway.connection_with(json!({"key": tokens::anon()}));
    assert_eq!(names(&discover(&anon).await.unwrap()), ["visible"]);
}

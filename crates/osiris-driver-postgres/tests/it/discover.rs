//! Discovery against real tables.

use osiris_testkit::database::catalog::names;
use osiris_testkit::database::postgres::{self, HALF_VISIBLE, SCHEMAS, TABLES};
use osiris_testkit::services::{Postgres, PostgresOptions};

use crate::subject::PostgresDriver;
use crate::support::discover;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_and_views_are_listed_with_all_that_is_known_of_them() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    server.execute(TABLES).await.unwrap();
    server.execute(SCHEMAS).await.unwrap();
    let catalog = discover(&server.connection()).await.unwrap();
    // No schema of a user's is left out, whatever its name is elsewhere.
    assert_eq!(names(&catalog), ["Zebra\"s", "adults", "auth.users", "other.t", "parts", "people"]);
    postgres::knows_people(&catalog);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fingerprint_follows_columns_and_not_rows() {
    postgres::fingerprint_follows_columns::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_may_be_read_is_listed() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    server.execute(HALF_VISIBLE).await.unwrap();
    postgres::lists_what_may_be_read::<PostgresDriver>(&server).await;
}

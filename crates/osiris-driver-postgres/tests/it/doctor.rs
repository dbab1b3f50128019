//! What is said about connections that do not work, and about those that do.

use osiris_testkit::database::postgres;
use osiris_testkit::services::Postgres;

use crate::subject::PostgresDriver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_works_is_described() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    postgres::is_described::<PostgresDriver>(&server, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_account_is_said_with_what_to_do() {
    let Some(seen) = postgres::says_what_is_wrong_with_an_account::<PostgresDriver>().await else { return };
    insta::assert_snapshot!(seen, @r#"
    wrong password: Auth | connecting to 127.0.0.1:PORT as `plain`: password authentication failed for user "plain": check `user` and `password`, or those in `dsn`
    no password: Auth | connecting to 127.0.0.1:PORT as `plain`: password authentication failed for user "plain": check `user` and `password`, or those in `dsn`
    unknown user: Auth | connecting to 127.0.0.1:PORT as `nobody`: password authentication failed for user "nobody": check `user` and `password`, or those in `dsn`
    unknown database: Unknown | connecting to 127.0.0.1:PORT as `postgres`: database "nowhere" does not exist: check `database`, or the one in `dsn`
    expired: Auth | connecting to 127.0.0.1:PORT as `late`: password authentication failed for user "late": check `user` and `password`, or those in `dsn`
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_is_a_matter_of_the_network_and_passes() {
    postgres::says_that_there_is_no_room::<PostgresDriver>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_way_is_said_within_the_limit() {
    let Some(seen) = postgres::says_what_is_wrong_with_the_way::<PostgresDriver>().await else { return };
    insta::assert_snapshot!(seen, @"
    host not found: Network | connecting to no-such-host.invalid:PORT as `postgres`: unknown host: check `host`, or the one in `dsn`
    refused: Network | connecting to 127.0.0.1:PORT as `postgres`: connection refused: check that the server is running, and `host` and `port` or those in `dsn`
    speaks something else: Network | connecting to 127.0.0.1:PORT as `postgres`: the server did not answer as a PostgreSQL server does: check `host` and `port`, or those in `dsn`
    ");
}

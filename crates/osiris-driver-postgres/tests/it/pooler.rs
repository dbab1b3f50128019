//! A real pooler in transaction mode.

use osiris_testkit::services::{PgBouncer, Postgres};

use crate::support::{check, discover};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_is_recognised_at_any_port_and_can_be_worked_with() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let Some(pooler) = PgBouncer::start(&server).await.unwrap() else { return };
    server.execute("CREATE TABLE t (a int PRIMARY KEY)").await.unwrap();
    let health = check(&pooler.connection()).await;
    assert!(health.ok, "{health:?}");
    assert_eq!(health.details["pooler"], "transaction");
    assert!(health.message.contains("connected through a pooler"), "{health:?}");
    assert_eq!(check(&server.connection()).await.details["pooler"], "none");
    let through = discover(&pooler.connection()).await.unwrap();
    assert_eq!(through.fingerprint, discover(&server.connection()).await.unwrap().fingerprint);
    // Sessions are given to many clients, one after the other; none of them leaves anything behind.
    let checks = (0..8).map(|_| {
        let connection = pooler.connection();
        tokio::spawn(async move { check(&connection).await })
    });
    for health in checks.collect::<Vec<_>>() {
        let health = health.await.unwrap();
        assert!(health.ok, "{health:?}");
    }
}

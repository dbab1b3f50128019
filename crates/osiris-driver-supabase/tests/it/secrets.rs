//! Passwords that break things: they open the door, and nothing that is said holds one of them.

use osiris_testkit::database::postgres;
use osiris_testkit::database::secrets::{Log, Said};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::json;

use crate::subject::Direct;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_signs_in_and_none_shows() {
    let Some(server) = Postgres::start_with(PostgresOptions::new()).await.unwrap() else { return };
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let mut said = Said::<Direct>::new(log);
    // The same text as a key: discovery would try again and again, the doctor sees it once.
    let as_key = async |said: &mut Said<Direct>, secret: &str| {
        let health = said.health(&json!({"url": "http://127.0.0.1:1", "key": secret})).await;
        assert!(!health.ok, "{health:?}");
    };
    postgres::hides_passwords(&server, &mut said, &[json!({})], as_key).await;
    let log = said.log();
    assert!(log.contains("channel of this step"), "the log is looked at: {log}");
}

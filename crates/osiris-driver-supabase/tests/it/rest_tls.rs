//! TLS of the REST API.

use osiris_stand_ins::supabase::{Gateway, Postgrest};
use osiris_testkit::services::{Authority, Postgres};
use serde_json::json;

use crate::support::check;

/// The same certificate authority is for the REST API: what is served over TLS is believed by it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_believed_by_the_same_authority() {
    let Some(server) = Postgres::start().await.unwrap() else { return };
    let Some(rest) = Postgrest::start(&server).await.unwrap() else { return };
    let authority = Authority::new().unwrap();
    let place = osiris_testkit::Place::new().unwrap();
    let ca = place.join("ca.pem");
    authority.write(&ca).unwrap();
    let gateway = Gateway::start_tls(&rest, &authority).unwrap();
    let health = check(&gateway.connection_with(json!({"ssl_ca": ca}))).await;
    assert!(health.ok, "{health:?}");
    let health = check(&gateway.connection()).await;
    assert!(!health.ok && health.message.contains("authority that is not trusted"), "{health:?}");
}

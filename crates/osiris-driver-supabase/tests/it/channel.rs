//! Which way the rows go, and what each way needs.

use osiris_stand_ins::supabase::tokens;
use serde_json::{Value, json};

use crate::support::{check, discover, project};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_is_chosen_by_the_connection_and_told() {
    let Some(project) = project("CREATE TABLE t (a int)").await else { return };
    let both = project.gateway.connection_with(project.database.supabase_connection());
    let with = |fields: Value| {
        let mut connection = both.clone();
        connection.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        connection
    };
    for (connection, expected) in [
        (both.clone(), "postgres"),
        (with(json!({"channel": "auto"})), "postgres"),
        (with(json!({"channel": "rest"})), "rest"),
        (project.gateway.connection(), "rest"),
        (project.database.supabase_connection(), "postgres"),
    ] {
        let health = check(&connection).await;
        assert!(health.ok && health.details["channel"] == expected, "{health:?}");
    }
    // What does not happen to be reachable is not replaced by the other way, which promises less.
    let broken = with(json!({"pg_port": 1}));
    let error = discover(&broken).await.unwrap_err();
    assert!(error.hint().unwrap().contains("`channel: rest`"), "{error:?}");
    let error = discover(&with(json!({"channel": "rest", "key": tokens::bad()}))).await.unwrap_err();
    assert!(error.hint().unwrap().contains("`key`"), "{error:?}");
}

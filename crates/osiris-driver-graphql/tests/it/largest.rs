//! Servers that state how many rows they give at once, each in its own words.

use std::sync::{Arc, Mutex};

use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::{answered, bench, by_cursor, run_at};

/// A server of 250 items that gives 100 at once, and answers a request for more with the status and `refusal`.
fn server(status: u16, refusal: Value) -> (HttpServer, Arc<Mutex<Vec<u64>>>) {
    let sizes = Arc::<Mutex<Vec<u64>>>::default();
    let asked = Arc::clone(&sizes);
    let server = HttpServer::start(move |seen| {
        let variables = seen.json()["variables"].take();
        let first = variables["first"].as_u64().unwrap();
        asked.lock().unwrap().push(first);
        if first > 100 {
            return std::future::ready(Reply::json(status, &refusal));
        }
        let from: u64 = variables["after"].as_str().map_or(0, |after| after.parse().unwrap());
        let nodes: Vec<Value> = (from..(from + first).min(250)).map(|id| json!({"id": id})).collect();
        let info = json!({"hasNextPage": from + first < 250, "endCursor": (from + first).to_string()});
        let items = json!({"totalCount": 250, "nodes": nodes, "pageInfo": info});
        std::future::ready(Reply::json(200, &json!({"data": {"items": items}})))
    });
    (server.unwrap(), sizes)
}

#[tokio::test]
async fn a_page_shrinks_to_what_the_server_says() {
    let github = "Requesting 1000 records on the `items` connection exceeds the `first` limit of 100 records.";
    let mut config = by_cursor("id");
    config["pagination"]["page_size"] = json!(1000);
    for (status, refusal) in [
        (
            200,
            json!({"data": {"items": null}, "errors": [{"type": "EXCESSIVE_PAGINATION", "message": github, "path": ["items"]}]}),
        ),
        (200, json!({"data": null, "errors": [{"message": github, "path": ["items"]}]})),
        (200, json!({"errors": [{"message": "`first` must be at most 100"}]})),
        (400, json!({"errors": [{"message": "first must be <= 100", "extensions": {"code": "BAD_USER_INPUT"}}]})),
        (
            500,
            json!({"errors": [{"message": "The maximum allowed items per page were exceeded.",
            "extensions": {"code": "HC0051", "maxAllowedItems": 100}}]}),
        ),
    ] {
        let (server, sizes) = server(status, refusal.clone());
        let output = run_at(&bench(), json!({"endpoint": server.url()}), config.clone()).await.unwrap();
        assert_eq!(
            (output.rows, sizes.lock().unwrap().as_slice()),
            (250, [1000, 100, 100, 100].as_slice()),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn where_the_size_is_in_the_query_the_hint_says_what_to_set() {
    let refusal =
        || vec![json!({"data": null, "errors": [{"message": "first must be at most 100", "path": ["items"]}]})];
    let query = "{ items(first: 1000) { nodes { id } } }";
    let (failed, requests) =
        answered(&bench(), refusal(), json!({"query": query, "data_path": "data.items.nodes"})).await;
    insta::assert_snapshot!(failed.unwrap_err().report(), @"
    step `items`: the server says: first must be at most 100 (at items)
      limit: 100 rows at once
      page: 1
    hint: request at most 100 rows at once: in the query, in its `variables`, or with `pagination.page_size_variable`, which adapts to it
    ");
    assert_eq!(requests, 1);
    // A server that refuses even that.
    let mut config = by_cursor("id");
    config["pagination"]["page_size"] = json!(1000);
    let (failed, requests) = answered(&bench(), refusal(), config).await;
    assert!(failed.unwrap_err().message().contains("first must be at most 100"));
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn partial_errors_are_hinted_at_only_where_there_are_rows() {
    let hint = async |data: Value| {
        let answer = json!({"data": data, "errors": [{"message": "boom", "path": ["items", "nodes", 0, "id"]}]});
        let query = json!({"query": "{ items { nodes { id } } }", "data_path": "data.items.nodes"});
        let error = answered(&bench(), vec![answer], query).await.0.unwrap_err();
        error.hint().unwrap().to_owned()
    };
    for data in [Value::Null, json!({"items": null}), json!({"items": {"nodes": null}})] {
        assert_eq!(hint(data).await, "the query ran and failed: check its `variables`, select less, or try later");
    }
    assert!(hint(json!({"items": {"nodes": [{"id": null}]}})).await.contains("partial_errors: warn"));
}

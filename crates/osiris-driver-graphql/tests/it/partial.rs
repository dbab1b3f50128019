//! Errors that come with data: which of them leave the rows, which are worth another request, and which words mean nothing.

use osiris_core::ErrorKind;
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::{answered, bench, by_cursor, metric, run_at};

fn config(partial_errors: &str) -> Value {
    let mut config = by_cursor("id name");
    config["partial_errors"] = json!(partial_errors);
    config
}

/// Two rows, with an error at `path` of the response.
fn answer(code: Option<&str>, path: Value, message: &str) -> Value {
    let nodes = json!([{"id": 1, "name": "a"}, {"id": 2, "name": null}]);
    let mut error = json!({"message": message, "path": path});
    if let Some(code) = code {
        error["extensions"] = json!({"code": code});
    }
    let items = json!({"totalCount": 2, "nodes": nodes, "pageInfo": {"hasNextPage": false, "endCursor": null}});
    json!({"data": {"items": items}, "errors": [error]})
}

#[tokio::test]
async fn p2_an_error_below_the_rows_is_partial_whatever_its_code() {
    for code in
        [None, Some("INTERNAL_SERVER_ERROR"), Some("ROW_BROKEN"), Some("FORBIDDEN"), Some("TIMEOUT"), Some("THROTTLED")]
    {
        for message in ["boom", "the field timeout_ms is not set", "complexity exceeds the limit"] {
            let answer = || vec![answer(code, json!(["items", "nodes", 1, "name"]), message)];
            let bench = bench();
            let (output, requests) = answered(&bench, answer(), config("warn")).await;
            assert_eq!((output.unwrap().rows, requests), (2, 1), "{code:?} {message}");
            assert_eq!(metric(&bench, "partial_errors"), Some(1));
            let (outcome, requests) = answered(&crate::bench(), answer(), config("fail")).await;
            let error = outcome.unwrap_err();
            assert_eq!((error.is_retryable(), requests), (false, 1), "{code:?} {message}: {error:?}");
        }
    }
}

#[tokio::test]
async fn p2_an_error_that_cost_the_rows_is_never_partial() {
    let mut lost = answer(Some("INTERNAL_SERVER_ERROR"), json!(["items", "nodes", 1, "id"]), "boom");
    lost["data"]["items"] = Value::Null;
    let at_rows = answer(Some("INTERNAL_SERVER_ERROR"), json!(["items", "nodes"]), "boom");
    for answer in [lost, at_rows] {
        let (outcome, requests) = answered(&bench(), vec![answer.clone()], config("warn")).await;
        assert_eq!((outcome.unwrap_err().kind(), requests), (ErrorKind::Network, 4), "{answer}");
    }
}

#[tokio::test]
async fn p4_a_mistake_in_the_query_is_asked_once_whatever_words_are_in_it() {
    for (status, message, code) in [
        (400, "Cannot query field timeout_ms on type Item", None),
        (400, "Cannot query field \"timeout\" on type \"Item\".", None),
        (200, "Cannot query field 'complexityy' on type 'Item'.", None),
        (400, "Cannot query field \"complexityy\" on type \"Item\".", Some("GRAPHQL_VALIDATION_FAILED")),
        (400, "Variable \"$rate\": rate limit, too many requests", None),
    ] {
        let mut error = json!({"message": message});
        if let Some(code) = code {
            error["extensions"] = json!({"code": code});
        }
        let server = HttpServer::scripted([Reply::json(status, &json!({"errors": [error]}))]).unwrap();
        let outcome = run_at(&bench(), json!({"endpoint": server.url()}), by_cursor("id")).await;
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Validation, false), "{message}: {error:?}");
        assert_eq!(server.requests().len(), 1, "{message}");
    }
}

//! A document that is posted once.

use std::time::Duration;

use osiris_core::{ErrorKind, Secret};
use osiris_http::Webhook;
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::json;

const TOKEN: &str = "B0123456789abcdef";

fn webhook(server: &HttpServer) -> Webhook {
    Webhook::new(&Secret::new(format!("{}/services/{TOKEN}?k=v", server.url()))).unwrap()
}

#[tokio::test]
async fn a_document_is_posted_as_json() {
    let server = HttpServer::scripted([Reply::text(200, "ok")]).unwrap();
    webhook(&server).post(&json!({"a": 1}), Duration::from_secs(5)).await.unwrap();
    let seen = &server.requests()[0];
    assert_eq!((seen.method(), seen.path(), seen.query()), ("POST", &*format!("/services/{TOKEN}"), "k=v"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.json(), json!({"a": 1}));
}

#[tokio::test]
async fn a_failure_is_not_repeated_and_does_not_show_the_address() {
    let server = HttpServer::scripted([Reply::text(503, TOKEN)]).unwrap();
    let error = webhook(&server).post(&json!({}), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(server.requests().len(), 1);
    assert!(!error.report().contains(TOKEN), "{}", error.report());
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let server = HttpServer::scripted([Reply::text(200, "ok").after(Duration::from_secs(60))]).unwrap();
    let error = webhook(&server).post(&json!({}), Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!error.report().contains(TOKEN), "{}", error.report());
}

#[test]
fn what_is_not_an_address_is_refused_without_showing_it() {
    for address in [format!("ftp://host/{TOKEN}"), TOKEN.to_owned(), format!("https://user:{TOKEN}@host/")] {
        let error = Webhook::new(&Secret::new(address)).unwrap_err();
        assert!(!error.report().contains(TOKEN), "{}", error.report());
    }
}

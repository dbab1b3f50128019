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

#[tokio::test]
async fn a_redirect_that_is_refused_does_not_show_the_address() {
    let other = HttpServer::scripted([Reply::text(200, "ok")]).unwrap();
    let target = format!("{}/hooks/q7x2k9z", other.url_as("localhost"));
    let server = HttpServer::scripted([Reply::new(307).header("location", &target)]).unwrap();
    let webhook = Webhook::new(&Secret::new(format!("{}/hooks/q7x2k9z", server.url()))).unwrap();
    let error = webhook.post(&json!({}), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.message(), "the webhook: refused the redirect: it sends data to another host");
    let shown = error.redacted(webhook.redactor()).report();
    assert!(!shown.contains("q7x2k9z") && shown.contains("target: http://localhost:"), "{shown}");
}

#[test]
fn a_part_of_the_address_that_may_be_secret_is_masked_where_it_stands_alone() {
    let address = "https://ab12cd3.hooks.example.com/services/abcdefghijkl/x?key=q7x2k9z&v=2";
    let webhook = Webhook::new(&Secret::new(address)).unwrap();
    let shown = |text: &str| webhook.redactor().scrub(text).into_owned();
    for part in ["ab12cd3", "abcdefghijkl", "q7x2k9z", "/services/abcdefghijkl/x", address] {
        assert_eq!(shown(&format!("to {part}")), "to ***");
    }
    for part in [address.split('?').next().unwrap(), "/services/abcdefghijkl/x?key=q7x2k9z&v=2"] {
        assert_eq!(shown(&format!("to {part}")), "to ***");
    }
    assert_eq!(shown("hooks.example.com: services"), "hooks.example.com: services");
}

#[test]
fn what_is_not_an_address_is_refused_without_showing_it() {
    for address in [format!("ftp://host/{TOKEN}"), TOKEN.to_owned(), format!("https://user:{TOKEN}@host/")] {
        let error = Webhook::new(&Secret::new(address)).unwrap_err();
        assert!(!error.report().contains(TOKEN), "{}", error.report());
    }
}

//! The pace against a real server that keeps a limit.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use osiris_core::Secret;
use osiris_http::{Auth, HttpClient, Request};
use osiris_testkit::http_server::{HttpServer, Reply};

use crate::{client, settings};

/// Says with each answer that so many of 100 requests are left for a second, and refuses one that comes earlier.
fn nearly_used(remaining: u32, form: &'static str) -> HttpServer {
    let last: Mutex<Option<Instant>> = Mutex::default();
    HttpServer::start(move |_| {
        let mut last = last.lock().unwrap();
        let early = last.is_some_and(|last| last.elapsed() < Duration::from_millis(990));
        *last = Some(Instant::now());
        let reply = Reply::new(if early { 429 } else { 200 });
        std::future::ready(match form {
            "ietf" => reply
                .header("ratelimit-policy", "\"default\";q=100;w=1")
                .header("ratelimit", &format!("\"default\";r={remaining};t=1")),
            _ => reply
                .header("x-ratelimit-limit", "100")
                .header("x-ratelimit-remaining", &remaining.to_string())
                .header("x-ratelimit-reset", "1"),
        })
    })
    .unwrap()
}

#[tokio::test]
async fn near_a_limit_the_reset_is_waited_for() {
    for form in ["x", "ietf"] {
        let server = nearly_used(10, form);
        let client = client(settings(&server));
        for _ in 0..3 {
            client.fetch(&Request::get(client.url("").unwrap())).await.unwrap();
        }
        assert_eq!((server.requests().len(), client.counts().repeated), (3, 0), "{form}");
        assert!(client.counts().rate_limit_wait >= Duration::from_millis(1900), "{form}");
    }
}

#[tokio::test]
async fn clients_with_the_same_credentials_wait_together_and_others_do_not() {
    let server = HttpServer::start(|seen| {
        std::future::ready(match seen.path() {
            "/refuse" => Reply::new(429).header("retry-after", "200"),
            _ => Reply::new(204),
        })
    })
    .unwrap();
    let new = |key: &str| {
        let settings = settings(&server).with_auth(Auth::Bearer(Secret::new(key))).unwrap();
        HttpClient::new(settings.with_longest_wait(Duration::from_secs(100))).unwrap()
    };
    let (a, b, other) = (new("same"), new("same"), new("other"));
    a.fetch(&Request::get(a.url("refuse").unwrap())).await.unwrap_err();
    let error = b.fetch(&Request::get(b.url("").unwrap())).await.unwrap_err();
    assert!(error.message().contains("the rate limit resets in"), "{error:?}");
    other.fetch(&Request::get(other.url("").unwrap())).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_streaming_answer_counts_as_under_way_until_it_is_dropped() {
    let server = HttpServer::scripted([Reply::text(200, "x")]).unwrap();
    let limit = osiris_http::RateLimit::new().concurrent(1);
    let pace = osiris_http::Pace::new(&limit, Arc::new(osiris_http::SystemClock));
    let client = HttpClient::new(settings(&server)).unwrap().with_pace(pace);
    let request = Request::get(client.url("").unwrap());
    let stream = client.open(&request).await.unwrap();
    let second = client.fetch(&request);
    tokio::pin!(second);
    assert!(tokio::time::timeout(Duration::from_millis(100), second.as_mut()).await.is_err());
    assert_eq!(server.requests().len(), 1);
    drop(stream);
    second.await.unwrap();
}

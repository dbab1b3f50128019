//! A gateway before the gateway that counts requests: it says how much of a limit is used, and means it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use osiris_core::{Result, RetryPolicy};
use osiris_http::{HttpClient, HttpSettings, Method, Page, Request};
use osiris_testkit::http_server::{HttpServer, Reply, Seen};

/// Passes everything on to `gateway`, says at each answer that 90% of the limit are used and that it resets after a second, and answers
/// 429 to who comes earlier.
pub(crate) fn near_limit(gateway: &str) -> Result<HttpServer> {
    let client = HttpClient::new(HttpSettings::new(gateway)?.with_retry(RetryPolicy::never()))?;
    let last = Arc::new(Mutex::new(None::<Instant>));
    HttpServer::start(move |seen| {
        let early =
            last.lock().unwrap().replace(Instant::now()).is_some_and(|at| at.elapsed() < Duration::from_millis(950));
        let client = client.clone();
        async move {
            if early {
                return Reply::new(429);
            }
            let reply = match pass_on(&client, &seen).await {
                Ok(page) => replied(&page),
                Err(error) => Reply::text(500, error.message()),
            };
            let headers = [("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1")];
            headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
        }
    })
}

async fn pass_on(client: &HttpClient, seen: &Seen) -> Result<Page> {
    let method = Method::from_bytes(seen.method().as_bytes()).unwrap();
    let mut request = Request::new(method, client.url(&format!("{}?{}", seen.path(), seen.query()))?);
    for (name, value) in seen
        .headers()
        .filter(|(name, _)| !matches!(*name, "host" | "content-length" | "connection" | "accept-encoding"))
    {
        request = request.header(name, value)?;
    }
    if !seen.body().is_empty() {
        request = request.body("application/json", osiris_http::Bytes::copy_from_slice(seen.body()))?;
    }
    client.fetch(&request).await
}

fn replied(page: &Page) -> Reply {
    let mut reply = Reply::new(page.status()).body(page.body().clone());
    for name in ["content-type", "content-range", "preference-applied"] {
        if let Some(value) = page.header(name) {
            reply = reply.header(name, value);
        }
    }
    reply
}

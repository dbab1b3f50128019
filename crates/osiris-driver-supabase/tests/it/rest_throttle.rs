//! A gateway before the gateway, with a rate limit.

use osiris_core::{Result, RetryPolicy};
use osiris_http::{HttpClient, HttpSettings, Method, Page, Request};
use osiris_testkit::RateLimit;
use osiris_testkit::http_server::{HttpServer, Reply, Seen};

/// Passes on to `gateway` what `limit` does not refuse, and reports the limit in headers.
pub(crate) fn limited(gateway: &str, limit: &RateLimit) -> Result<HttpServer> {
    let client = HttpClient::new(HttpSettings::new(gateway)?.with_retry(RetryPolicy::never()))?;
    let limit = limit.clone();
    HttpServer::start(move |seen| {
        let (client, limit) = (client.clone(), limit.clone());
        async move {
            let answered = async {
                match pass_on(&client, &seen).await {
                    Ok(page) => replied(&page),
                    Err(error) => Reply::text(500, error.message()),
                }
            };
            limit.answer(answered).await
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

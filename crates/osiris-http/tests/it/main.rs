//! The client against a real server on loopback, and rows into a real store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test ends at the first surprise")]

mod answers;
mod credentials;
mod pace;
mod pages;
mod repeat;
mod rows;
mod speed;
mod step;
mod tls;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use osiris_core::{Backoff, RetryPolicy};
use osiris_http::{HttpClient, HttpSettings, Pace, RateLimit, SystemClock};
use osiris_testkit::http_server::HttpServer;

/// Settings for a server, with retries that a test can wait for.
fn settings(server: &HttpServer) -> HttpSettings {
    HttpSettings::new(&server.url()).unwrap().with_retry(RetryPolicy {
        backoff: Backoff::Fixed,
        initial_delay: Duration::from_millis(2),
        max_delay: Duration::from_millis(2),
        ..RetryPolicy::times(3)
    })
}

/// A client with a pace of its own: loopback ports come again.
fn client(settings: HttpSettings) -> HttpClient {
    HttpClient::new(settings).unwrap().with_pace(Pace::new(&RateLimit::new(), Arc::new(SystemClock)))
}

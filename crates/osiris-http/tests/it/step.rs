//! A client at the work of a step: metrics, cancellation.

use std::time::{Duration, Instant};

use osiris_core::ErrorKind;
use osiris_http::Request;
use osiris_testkit::Bench;
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::json;

use crate::{client, settings};

#[tokio::test]
async fn what_the_requests_came_to_is_reported_once_when_the_work_is_over() {
    let bench = Bench::new(|_| Ok(())).unwrap();
    let server = HttpServer::scripted([
        Reply::new(429).header("retry-after", "1"),
        Reply::hang_up(),
        Reply::text(200, "0123456789"),
    ])
    .unwrap();
    let ctx = bench.run_context().step("extract");
    let client = client(settings(&server)).for_step(&ctx);
    let clone = client.clone();
    client.fetch(&Request::get(client.url("").unwrap())).await.unwrap();
    drop(client);
    assert!(bench.metrics().lines().is_empty(), "a clone is still at work");
    drop(clone);
    for (metric, unit, at_least) in [
        ("requests_made", "calls", 3),
        ("bytes_read", "bytes", 10),
        ("requests_repeated", "calls", 2),
        ("rate_limit_wait_ms", "ms", 1000),
    ] {
        let lines = bench.metrics().matching("metric", metric);
        assert_eq!(lines.len(), 1, "{metric}");
        assert_eq!((&lines[0]["unit"], &lines[0]["tags"]["step"]), (&json!(unit), &json!("extract")));
        assert!(lines[0]["value"].as_u64().unwrap() >= at_least, "{}", lines[0]);
    }
    assert_eq!(bench.telemetry_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_cancelled_step_waits_for_no_answer_no_delay_and_no_turn() {
    let bench = Bench::new(|_| Ok(())).unwrap();
    let server = HttpServer::start(|seen| {
        std::future::ready(match seen.path() {
            "/refuse" => Reply::new(429).header("retry-after", "200"),
            "/cut" => Reply::text(200, "01234").stall_after(2),
            _ => Reply::new(200).after(Duration::from_secs(200)),
        })
    })
    .unwrap();
    for path in ["slow", "refuse", "cut"] {
        let ctx = bench.run_context().step(path);
        let client = client(settings(&server)).for_step(&ctx);
        let before = server.requests().len();
        let request = Request::get(client.url(path).unwrap());
        let started = Instant::now();
        let cancel = async {
            while server.requests().len() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            ctx.cancel().cancel();
        };
        let (result, ()) = tokio::join!(client.fetch(&request), cancel);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled, "{path}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

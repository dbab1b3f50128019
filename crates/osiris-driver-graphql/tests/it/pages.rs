//! Pages: three styles, one request each, and what happens when they are too large, too dear or too many.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use osiris_core::{Progress, event, metric as metrics};
use osiris_http::HttpClient;
use osiris_stand_ins::graphql::{Api, Options, Trouble};
use osiris_testkit::Bench;
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::{COMPONENT, bench, by_cursor, clock, metric, run, run_at};

fn by_offset(extra: Value) -> Value {
    let mut config = json!({
        "query": "query ($offset: Int!, $limit: Int!) { itemsFrom(offset: $offset, limit: $limit) { id } }",
        "data_path": "data.itemsFrom",
        "pagination": {"style": "offset", "page_size_variable": "limit", "page_size": 10},
    });
    merge(&mut config, extra);
    config
}

fn by_page(extra: Value) -> Value {
    let mut config = json!({
        "query": "query ($page: Int!, $size: Int!) { itemPage(page: $page, perPage: $size) { items { id } total hasMore } }",
        "data_path": "$.data.itemPage.items",
        "pagination": {
            "style": "page", "path": "data.itemPage", "has_next_field": "hasMore",
            "page_size_variable": "size", "page_size": 10,
        },
    });
    merge(&mut config, extra);
    config
}

fn merge(config: &mut Value, extra: Value) {
    match (config, extra) {
        (Value::Object(config), Value::Object(extra)) => {
            for (name, value) in extra {
                merge(config.entry(name).or_insert(Value::Null), value);
            }
        }
        (config, extra) => *config = extra,
    }
}

fn sizes(api: &Api, variable: &str) -> Vec<u64> {
    api.asked().iter().map(|asked| asked[variable].as_u64().unwrap()).collect()
}

/// Runs it and checks that the items 1 to `count` were read, each once and in order.
async fn complete(api: &Api, config: Value, count: i64) -> Bench {
    let bench = bench();
    let output = run(&bench, api, config).await.unwrap();
    let found = bench.query("SELECT id::VARCHAR AS id FROM steps.items").await.unwrap();
    let expected = (1..=count)
        .fold(osiris_testkit::Rows::new(["id"]).with_types(["VARCHAR"]), |rows, id| rows.row([id.to_string()]));
    assert_eq!(found, expected);
    assert_eq!(output.counts.read, u64::try_from(count).unwrap());
    bench
}

#[tokio::test]
async fn every_style_reads_every_page_once() {
    for (config, count, requests) in [
        (by_cursor("id"), 53, 6),
        (by_cursor("id"), 50, 5),
        (by_cursor("id"), 1, 1),
        // Where nothing is said about the next page only an empty page is the end.
        (by_offset(json!({})), 53, 7),
        (by_offset(json!({})), 50, 6),
        (by_page(json!({})), 53, 6),
        (by_page(json!({})), 50, 5),
    ] {
        let api = Api::with_items(count, Options::default());
        let bench = complete(&api, config, count).await;
        assert_eq!(api.asked().len(), requests, "one request for each page");
        assert_eq!(metric(&bench, metrics::PAGES_FETCHED), Some(requests as u64));
        assert_eq!(metric(&bench, metrics::REQUESTS_MADE), Some(requests as u64));
        assert_eq!(bench.events().matching("event", event::EXTRACTION_PAGE).len(), requests);
    }
}

#[tokio::test]
async fn the_flat_names_of_older_pipelines_do_the_same() {
    let config = json!({
        "query": "query ($first: Int, $cursor: String) { list: items(first: $first, after: $cursor) {
            edges { node { id } } info: pageInfo { more: hasNextPage at: endCursor } } }",
        "variables": {"first": 7},
        "data_path": "$.data.list.edges[*].node",
        "pagination_enabled": true,
        "pagination_path": "data.list.info",
        "pagination_cursor_field": "at",
        "pagination_has_next_field": "more",
        "pagination_variable_name": "cursor",
        "max_pages": 0,
    });
    let api = Api::with_items(20, Options::default());
    complete(&api, config.clone(), 20).await;
    assert_eq!(api.asked().len(), 3);
    let bench = bench();
    let config = {
        let mut config = config;
        config["max_pages"] = json!(2);
        config
    };
    assert_eq!(run(&bench, &api, config).await.unwrap().rows, 14);
}

#[tokio::test]
async fn a_server_that_gives_less_than_was_asked_for_loses_nothing() {
    let options = Options { largest_page: 4, ..Options::default() };
    for config in [by_cursor("id"), by_offset(json!({})), by_page(json!({"pagination": {"path": null}}))] {
        complete(&Api::with_items(21, options.clone()), config, 21).await;
    }
}

#[tokio::test]
async fn where_to_begin_may_be_given() {
    let api = Api::with_items(30, Options::default());
    for (config, rows) in [
        (by_offset(json!({"variables": {"offset": 25}})), 5),
        (by_page(json!({"variables": {"page": 3}})), 10),
        (
            {
                let mut config = by_cursor("id");
                config["variables"] = json!({"after": "after item 12"});
                config
            },
            18,
        ),
    ] {
        assert_eq!(run(&bench(), &api, config).await.unwrap().rows, rows);
    }
}

#[tokio::test]
async fn a_page_that_is_too_complex_is_asked_for_at_half_the_size() {
    for refused in [200, 400] {
        // A row costs about 6: 10 of them are too many, 5 are not.
        let options = Options { complexity: Some(45), refused, ..Options::default() };
        let api = Api::with_items(23, options.clone());
        complete(&api, by_cursor("id"), 23).await;
        assert_eq!(sizes(&api, "first"), [10, 5, 5, 5, 5, 5], "refused with {refused}");
        let api = Api::with_items(23, options.clone());
        complete(&api, by_offset(json!({"pagination": {"page_size": 80}})), 23).await;
        assert_eq!(sizes(&api, "limit"), [80, 40, 40]);
    }
}

#[tokio::test]
async fn a_page_that_takes_the_server_too_long_is_asked_for_at_half_the_size() {
    let timeout =
        json!({"data": null, "errors": [{"message": "Something timed out", "extensions": {"code": "TIMEOUT"}}]});
    for reply in [Reply::json(200, &timeout), Reply::text(504, "Gateway Timeout"), Reply::json(502, &timeout)] {
        let api = Api::with_items(36, Options::default());
        api.trouble([Trouble::None, Trouble::Instead(reply.clone()), Trouble::Instead(reply)]);
        complete(&api, by_page(json!({"pagination": {"page_size": 12}})), 36).await;
        assert_eq!(sizes(&api, "size")[..4], [12, 12, 6, 3]);
        assert_eq!(sizes(&api, "page")[..4], [1, 2, 3, 5], "the page begins at the same row");
    }
}

/// How many rows a large page has, and how many of them there are.
const LARGE: (u64, u64) = (20_000, 4);

fn large_page(number: u64) -> Reply {
    let text = "x".repeat(1000);
    let nodes: Vec<Value> = (0..LARGE.0).map(|id| json!({"id": id + number * LARGE.0, "text": text})).collect();
    let page_info = json!({"hasNextPage": number < LARGE.1, "endCursor": number.to_string()});
    Reply::json(200, &json!({"data": {"items": {"nodes": nodes, "pageInfo": page_info}}}))
}

#[tokio::test]
async fn the_next_page_is_fetched_while_the_last_one_is_stored() {
    let progress = Arc::new(Progress::default());
    let stored = Arc::<Mutex<Vec<u64>>>::default();
    let (watched, noted) = (Arc::clone(&progress), Arc::clone(&stored));
    let server = HttpServer::start(move |_| {
        let mut noted = noted.lock().unwrap();
        noted.push(watched.rows());
        std::future::ready(large_page(noted.len() as u64))
    });
    let server = server.unwrap();
    let config = json!({
        "query": "query ($after: String) { items(after: $after) { nodes { id text } pageInfo { hasNextPage endCursor } } }",
        "data_path": "data.items.nodes", "pagination": {"style": "cursor"},
    });
    let bench = bench();
    let step = bench.step("items", COMPONENT, config).connection(json!({"endpoint": server.url()}));
    assert_eq!(step.progress(&progress).run().await.unwrap().rows, LARGE.0 * LARGE.1);
    let stored = stored.lock().unwrap();
    assert_eq!(stored.len() as u64, LARGE.1, "one request for each page");
    // A page is several batches. Were a page stored before the next request, that request would find most of it there.
    let overlaps = (1..).zip(&stored[1..]).any(|(before, rows)| *rows <= (before - 1) * LARGE.0);
    assert!(overlaps, "no page was asked for before the one before was stored: {stored:?}");
}

/// A server that reports what a query costs and what is left, as Shopify does.
fn priced(rows: usize, left: f64) -> Reply {
    let status = json!({"maximumAvailable": 1000.0, "currentlyAvailable": left, "restoreRate": 50.0});
    let nodes: Vec<Value> = (0..rows).map(|id| json!({"id": format!("{left} {id}")})).collect();
    Reply::json(
        200,
        &json!({
            "data": {"items": {"nodes": nodes, "pageInfo": {"hasNextPage": rows > 0, "endCursor": format!("{left}")}}},
            "extensions": {"cost": {"requestedQueryCost": 100, "actualQueryCost": 90, "throttleStatus": status}},
        }),
    )
}

fn priced_query() -> Value {
    json!({
        "query": "query ($after: String) { items(after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }",
        "data_path": "data.items.nodes", "pagination": {},
    })
}

/// Runs it on a clock of its own, and says how long it waited.
async fn waited(server: &HttpServer) -> Duration {
    let clock = clock();
    let watched = clock.clone();
    let connect: osiris_driver_graphql::Connect = Arc::new(move |target| {
        Ok(HttpClient::new(osiris_driver_graphql::settings(target)?)?.with_clock(Arc::new(clock.clone())))
    });
    let bench = Bench::new(|registry| osiris_driver_graphql::register_with_client(registry, connect)).unwrap();
    run_at(&bench, json!({"endpoint": server.url()}), priced_query()).await.unwrap();
    let reported = metric(&bench, osiris_http::RATE_LIMIT_WAIT_MS).unwrap_or(0);
    let slept: Duration = watched.slept().iter().sum();
    assert_eq!(u128::from(reported), slept.as_millis(), "the wait is a metric");
    slept
}

#[tokio::test]
async fn a_budget_that_runs_out_slows_down_before_the_server_complains() {
    let server = HttpServer::scripted([priced(2, 900.0), priced(2, 800.0), priced(0, 700.0)]).unwrap();
    assert_eq!(waited(&server).await, Duration::ZERO);
    // 50 points are left, a request takes 100 and a tenth of the 1000 is left to others: 150 points at 50 a second.
    let server = HttpServer::scripted([priced(2, 50.0), priced(0, 100.0)]).unwrap();
    assert_eq!(waited(&server).await, Duration::from_secs(3));
}

#[tokio::test]
async fn a_throttled_query_waits_until_it_can_be_paid_for() {
    let status = json!({"maximumAvailable": 1000.0, "currentlyAvailable": 0.0, "restoreRate": 50.0});
    let throttled = json!({
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {"cost": {"requestedQueryCost": 100, "throttleStatus": status}},
    });
    let server = HttpServer::scripted([Reply::json(200, &throttled), priced(0, 900.0)]).unwrap();
    assert!(waited(&server).await >= Duration::from_secs(2));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_total_is_known_where_the_server_tells_it() {
    let api = Api::with_items(25, Options::default());
    let (bench, progress) = (bench(), Arc::new(Progress::default()));
    let step = bench.step("items", COMPONENT, by_cursor("id")).connection(json!({"endpoint": api.endpoint()}));
    step.progress(&progress).run().await.unwrap();
    assert_eq!((progress.rows(), progress.total_rows()), (25, Some(25)));
}

#[tokio::test]
async fn a_dry_run_reads_one_small_page() {
    let api = Api::with_items(5000, Options::default());
    let bench = bench();
    let mut config = by_cursor("id");
    config["pagination"]["page_size"] = json!(1000);
    let step = bench.step("items", COMPONENT, config).connection(json!({"endpoint": api.endpoint()})).dry_run();
    assert_eq!(step.run().await.unwrap().rows, 100);
    assert_eq!(sizes(&api, "first"), [100]);
    // Without a variable for the size the server sends what it sends; no more than the sample is kept.
    let query = json!({"query": "{ items(first: 500) { nodes { id } pageInfo { hasNextPage } } }", "data_path": "data.items.nodes"});
    let step = bench.step("more", COMPONENT, query).connection(json!({"endpoint": api.endpoint()})).dry_run();
    assert_eq!(step.run().await.unwrap().rows, 100);
}

#[tokio::test]
async fn a_slow_source_is_seen_to_move() {
    let api = Api::with_items(4, Options { delay: Duration::from_millis(600), ..Options::default() });
    let (bench, progress) = (bench(), Arc::new(Progress::default()));
    let mut config = by_cursor("id");
    config["pagination"]["page_size"] = json!(1);
    let step = bench.step("items", COMPONENT, config).connection(json!({"endpoint": api.endpoint()}));
    let running = step.progress(&progress).run();
    let watching = async {
        let begun = Instant::now();
        while progress.rows() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        api.asked().len()
    };
    let (output, asked) = tokio::join!(running, watching);
    assert_eq!(output.unwrap().rows, 4);
    assert!(asked < 4, "rows are seen before the last page is there");
}

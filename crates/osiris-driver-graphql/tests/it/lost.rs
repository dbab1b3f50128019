//! Rows that the server leaves out: null in the place of items or of a list, and fewer rows than it counts.

use osiris_core::{Code, ErrorKind, Result, StepOutput};
use serde_json::{Value, json};

use crate::{answered, bench, by_cursor, metric, run};
use osiris_stand_ins::graphql::{Api, Options, Trouble};
use osiris_testkit::http_server::{HttpServer, Reply};

/// A page of items, of which `next` says whether there are more.
fn page(nodes: Value, next: bool, total: Value) -> Value {
    let page_info = json!({"hasNextPage": next, "endCursor": next.then(|| nodes.to_string())});
    json!({"data": {"items": {"totalCount": total, "nodes": nodes, "pageInfo": page_info}}})
}

fn with(mut config: Value, name: &str, value: Value) -> Value {
    config[name] = value;
    config
}

fn report(outcome: Result<StepOutput>) -> String {
    let error = outcome.unwrap_err();
    // A page that is not what was requested is the server's, rows that are missing are counted.
    let is_counted = error.message().contains("counts");
    let code = if is_counted { Code::LedgerUnbalanced } else { Code::UnexpectedResponse };
    assert!(error.kind() != ErrorKind::Integrity || error.code() == code, "{}: {error:?}", error.code());
    format!("{}: {}", error.kind(), error.report())
}

#[tokio::test]
async fn p1_an_item_that_is_null_fails_the_step_unless_it_may() {
    let pages = || {
        vec![
            page(json!([{"id": 1}, {"id": 2}]), true, json!(null)),
            page(json!([{"id": 3}, null, {"id": 5}, null]), false, json!(null)),
        ]
    };
    let (outcome, requests) = answered(&bench(), pages(), by_cursor("id")).await;
    insta::assert_snapshot!(report(outcome), @"
    integrity: step `items`: item 2 of page 2 is null: it has no row
    hint: select a field that is never null, such as the key; `null_items: skip` leaves such items out and counts them
    ");
    assert_eq!(requests, 2);
    let bench = bench();
    let (output, _) = answered(&bench, pages(), with(by_cursor("id"), "null_items", json!("skip"))).await;
    let counts = output.unwrap().counts;
    assert_eq!((counts.read, counts.stored, counts.ignored), (6, 4, 2), "read = stored + ignored");
    assert_eq!(metric(&bench, "items_null"), Some(2));
}

#[tokio::test]
async fn p1_a_null_on_the_way_to_the_rows_is_an_item_too() {
    let query = "{ items { edges { node { id } } } }";
    let edges = json!({"data": {"items": {"edges": [{"node": {"id": 1}}, null, {"node": null}]}}});
    let config = json!({"query": query, "data_path": "data.items.edges[*].node"});
    let (outcome, _) = answered(&bench(), vec![edges.clone()], config.clone()).await;
    assert!(report(outcome).contains("item 2 of page 1 is null"));
    let (output, _) = answered(&bench(), vec![edges], with(config, "null_items", json!("skip"))).await;
    let counts = output.unwrap().counts;
    assert_eq!((counts.read, counts.stored, counts.ignored), (3, 1, 2));
}

#[tokio::test]
async fn p1_two_items_that_are_both_null_are_not_an_empty_table() {
    let nodes = page(json!([null, null]), false, json!(null));
    let (outcome, _) = answered(&bench(), vec![nodes], by_cursor("name")).await;
    assert!(report(outcome).contains("item 1 of page 1 is null"));
}

#[tokio::test]
async fn p1_only_the_items_that_an_error_names_may_be_null_with_partial_errors() {
    let config = with(by_cursor("id"), "partial_errors", json!("warn"));
    for (lost, permitted) in [(1, true), (2, false)] {
        let mut answer = page(json!([{"id": 1}, null, {"id": 3}]), false, json!(null));
        answer["errors"] = json!([{"message": "it is lost", "path": ["items", "nodes", lost, "id"]}]);
        let (outcome, _) = answered(&bench(), vec![answer], config.clone()).await;
        assert_eq!(outcome.as_ref().is_ok_and(|output| output.counts.ignored == 1), permitted, "{lost}: {outcome:?}");
    }
}

#[tokio::test]
async fn p10g_a_list_that_is_null_after_the_first_page_is_not_the_end() {
    let first = || page(json!([{"id": 1}, {"id": 2}]), true, json!(null));
    let (outcome, requests) =
        answered(&bench(), vec![first(), page(Value::Null, false, json!(null))], by_cursor("id")).await;
    insta::assert_snapshot!(report(outcome), @"
    integrity: step `items`: page 2 of the rows is null
      data_path: data.items.nodes
    hint: the server returned no list and no error: request fewer rows at once, or try later
    ");
    assert_eq!(requests, 2);
    // By offset an empty page is the end; null is no empty page.
    let query = "query ($offset: Int) { users(offset: $offset) { id } }";
    let config = json!({"query": query, "data_path": "data.users", "pagination": {"style": "offset"}});
    let users = |users: Value| json!({"data": {"users": users}});
    let pages = vec![users(json!([{"id": 1}])), users(Value::Null)];
    assert!(report(answered(&bench(), pages, config.clone()).await.0).contains("page 2 of the rows is null"));
    // Nor is the first page of a list that has others.
    let pages = vec![page(Value::Null, true, json!(null)), page(json!([{"id": 3}]), false, json!(null))];
    let mut cursor = pages.clone();
    cursor[0]["data"]["items"]["pageInfo"]["endCursor"] = json!("a");
    assert!(report(answered(&bench(), cursor, by_cursor("id")).await.0).contains("page 1 of the rows is null"));
    let (output, _) = answered(&bench(), vec![users(Value::Null)], config).await;
    assert_eq!(output.unwrap().rows, 0, "a list that does not exist");
}

#[tokio::test]
async fn p6_fewer_rows_than_the_server_counts_fail_the_step() {
    let pages = || vec![page(json!([{"id": 1}]), true, json!(9)), page(json!([{"id": 2}]), false, json!(9))];
    let (outcome, requests) = answered(&bench(), pages(), by_cursor("id")).await;
    insta::assert_snapshot!(report(outcome), @"
    integrity: step `items`: the server counts 9 rows, but returned 2 in 2 pages
    hint: check that the query passes `$after` to the list that is paged, and `pagination.style`; or do not select `totalCount`, if it counts something else
    ");
    assert_eq!(requests, 3, "the first page is requested once more");
    // Rows that were deleted meanwhile are not missing; nor are those that were added.
    let mut deleted = pages();
    deleted.push(page(json!([{"id": 2}]), false, json!(2)));
    let (output, requests) = answered(&bench(), deleted, by_cursor("id")).await;
    assert_eq!((output.unwrap().rows, requests), (2, 3));
    let added = vec![page(json!([{"id": 1}]), true, json!(2)), page(json!([{"id": 2}]), false, json!(5))];
    let (output, requests) = answered(&bench(), added, by_cursor("id")).await;
    assert_eq!((output.unwrap().rows, requests), (2, 2));
    // Who sets a limit or a start wants less than all.
    let mut limited = by_cursor("id");
    limited["pagination"]["max_pages"] = json!(1);
    assert_eq!(answered(&bench(), pages(), limited).await.0.unwrap().rows, 1);
    let started = with(by_cursor("id"), "variables", json!({"after": "x"}));
    assert_eq!(answered(&bench(), pages(), started).await.0.unwrap().rows, 2);
    // An item that is null is one that came.
    let null = vec![page(json!([{"id": 1}, null]), false, json!(2))];
    let (output, _) = answered(&bench(), null, with(by_cursor("id"), "null_items", json!("skip"))).await;
    assert_eq!(output.unwrap().counts.read, 2);
}

#[tokio::test]
async fn p6_a_query_without_pagination_reads_all_or_says_that_it_limits_itself() {
    let answer = || vec![page(json!([{"id": 1}, {"id": 2}]), false, json!(9))];
    let config = |list: &str| json!({"query": format!("{{ items{list} {{ totalCount nodes {{ id }} }} }}"), "data_path": "data.items.nodes"});
    let (outcome, _) = answered(&bench(), answer(), config("")).await;
    insta::assert_snapshot!(report(outcome), @"
    integrity: step `items`: the server counts 9 rows, but returned 2 in 1 page
    hint: set `pagination` to read all pages; or give the list a limit in the query, such as `first`; or do not select `totalCount`, if it counts something else
    ");
    let bench = bench();
    let (output, _) = answered(&bench, answer(), config("(first: 2)")).await;
    assert_eq!((output.unwrap().rows, metric(&bench, "rows_truncated")), (2, Some(1)));
    let (outcome, _) =
        answered(&crate::bench(), answer(), with(config("(first: 2)"), "nested_pages", json!("fail"))).await;
    assert!(report(outcome).contains("the list `items` has fewer items than the server counts"));
}

/// Rows by page number, where the server counts from 0.
fn from_zero(pagination: Value) -> Value {
    let query = "query ($page: Int) { users(page: $page) { id } meta { count } }";
    let mut config = json!({"query": query, "data_path": "data.users", "pagination": {"style": "page"}});
    let fields = pagination.as_object().unwrap().clone();
    config["pagination"].as_object_mut().unwrap().extend(fields);
    config
}

fn zero_based() -> HttpServer {
    let server = HttpServer::start(|seen| {
        let page = seen.json()["variables"]["page"].as_u64().unwrap();
        let users = match page {
            0 => json!([{"id": 1}, {"id": 2}]),
            1 => json!([{"id": 3}, {"id": 4}]),
            2 => json!([{"id": 5}]),
            _ => json!([]),
        };
        std::future::ready(Reply::json(200, &json!({"data": {"users": users, "meta": {"count": "5"}}})))
    });
    server.unwrap()
}

#[tokio::test]
async fn p6_a_first_page_that_was_left_out_is_found_by_the_count() {
    let server = zero_based();
    let at = || json!({"endpoint": server.url()});
    let total = json!({"total": "data.meta.count"});
    insta::assert_snapshot!(report(crate::run_at(&bench(), at(), from_zero(total)).await), @"
    integrity: step `items`: the server counts 5 rows, but returned 3 in 3 pages
    hint: check that the query passes `$page` to the list that is paged, and `pagination.style` and `pagination.first_page`; run it again if rows were deleted meanwhile, which moves the others; or do not set `pagination.total`, if it counts something else
    ");
    for (pagination, rows) in [
        (json!({"total": "data.meta.count", "first_page": 0}), 5),
        (json!({"first_page": 0}), 5),
        (json!({"first_page": 1}), 3),
    ] {
        let output = crate::run_at(&bench(), at(), from_zero(pagination.clone())).await.unwrap();
        assert_eq!(output.rows, rows, "{pagination}");
    }
    let start = with(from_zero(json!({"total": "data.meta.count"})), "variables", json!({"page": 0}));
    assert_eq!(crate::run_at(&bench(), at(), start).await.unwrap().rows, 5);
}

#[tokio::test]
async fn p6_a_count_that_is_named_must_be_a_number() {
    let answer = json!({"data": {"users": [{"id": 1}], "meta": {"count": null}}});
    let (outcome, _) = answered(&bench(), vec![answer], from_zero(json!({"total": "data.meta.count"}))).await;
    assert!(report(outcome).contains("`data.meta.count` is null: expected a whole number"));
}

#[tokio::test]
async fn p10a_a_cursor_may_be_in_the_last_item_of_a_list() {
    let edges = |ids: &[u64]| {
        let edges: Vec<Value> = ids.iter().map(|id| json!({"cursor": format!("c{id}"), "node": {"id": id}})).collect();
        json!({"data": {"items": {"edges": edges}}})
    };
    let rows = |ids: &[u64]| json!({"data": {"items": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()}});
    let edges = || [edges(&[1, 2]), edges(&[3]), edges(&[])];
    let by_edge = "query ($after: String) { items(after: $after) { edges { cursor node { id } } } }";
    let by_row = "query ($after: Int = 0) { items(where: {id: {_gt: $after}}) { id } }";
    for (query, path, cursor_path, pages, cursors) in [
        (by_edge, "data.items.edges[*].node", "data.items.edges[-1].cursor", edges(), json!(["c2", "c3"])),
        (by_edge, "data.items.edges[*].node", "data.items.edges[-1].node.id", edges(), json!([2, 3])),
        (by_row, "data.items", "data.items[-1].id", [rows(&[1, 2]), rows(&[3]), rows(&[])], json!([2, 3])),
    ] {
        let server = HttpServer::scripted(pages.iter().map(|page| Reply::json(200, page))).unwrap();
        let config = json!({"query": query, "data_path": path, "pagination": {"cursor_path": cursor_path}});
        let output = crate::run_at(&bench(), json!({"endpoint": server.url()}), config.clone()).await.unwrap();
        assert_eq!(output.rows, 3);
        let sent: Vec<Value> = server.requests().iter().map(|seen| seen.json()["variables"]["after"].take()).collect();
        assert_eq!(json!(sent[1..]), cursors, "{cursor_path}");
        // A server that ignores the cursor, and an item that has none.
        let (outcome, requests) = answered(&bench(), vec![pages[0].clone()], config.clone()).await;
        assert!(report(outcome).contains("pagination loop"));
        assert_eq!(requests, 2);
        let text = pages[0].to_string().replace("\"cursor\"", "\"other\"").replace("\"id\"", "\"other\"");
        let (outcome, _) = answered(&bench(), vec![serde_json::from_str(&text).unwrap()], config).await;
        assert!(report(outcome).contains("so the next page cannot be found"));
    }
}

#[tokio::test]
async fn a_dry_run_does_not_compare_its_sample_with_the_count() {
    let api = Api::with_items(500, Options::default());
    let bench = bench();
    let step = bench.step("items", crate::COMPONENT, by_cursor("id")).connection(json!({"endpoint": api.endpoint()}));
    assert_eq!(step.dry_run().run().await.unwrap().rows, 10);
    // A real engine, whose last page is lost once.
    let short = page(json!([{"id": 1}]), false, json!(500));
    api.trouble([Trouble::Instead(Reply::json(200, &short)); 1]);
    assert_eq!(run(&crate::bench(), &api, by_cursor("id")).await.unwrap_err().kind(), ErrorKind::Integrity);
}

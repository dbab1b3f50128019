//! Whatever the size of source and pages, whatever fails meanwhile: every row arrives, once, in order.

use osiris_testkit::Rows;
use osiris_testkit::http_server::Reply;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::{bench, run};
use osiris_stand_ins::graphql::{Api, Options, Record, Trouble};

#[derive(Debug, Clone, Copy)]
enum Style {
    Cursor,
    Edges,
    Offset,
    Page,
}

fn config(style: Style, page: usize) -> Value {
    let (query, path, pagination) = match style {
        Style::Cursor => (
            "query ($n: Int, $after: String) { items(first: $n, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } } }",
            "data.items.nodes",
            json!({}),
        ),
        Style::Edges => (
            "query ($n: Int, $c: String) { items(first: $n, after: $c) { edges { node { id name } } pageInfo { hasNextPage endCursor } } }",
            "$.data.items.edges[*].node",
            json!({"variable": "c"}),
        ),
        Style::Offset => (
            "query ($n: Int, $offset: Int) { itemsFrom(limit: $n, offset: $offset) { id name } }",
            "data.itemsFrom",
            json!({"style": "offset"}),
        ),
        Style::Page => (
            "query ($n: Int, $page: Int) { itemPage(perPage: $n, page: $page) { items { id name } hasMore } }",
            "data.itemPage.items",
            json!({"style": "page", "path": "data.itemPage", "has_next_field": "hasMore"}),
        ),
    };
    let mut pagination = pagination;
    pagination["page_size_variable"] = json!("n");
    pagination["page_size"] = json!(page);
    json!({"query": query, "data_path": path, "pagination": pagination, "max_retries": 10})
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let too_large = json!({"errors": [{"message": "Query is too complex."}]});
    let throttled = json!({"data": null, "errors": [{"type": "RATE_LIMITED", "message": "slow down"}]});
    let broken =
        json!({"data": null, "errors": [{"message": "oops", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]});
    prop_oneof![
        30 => Just(Trouble::None),
        1 => Just(Trouble::Cut),
        1 => Just(Trouble::Truncated),
        1 => Just(Trouble::Instead(Reply::hang_up())),
        1 => Just(Trouble::Instead(Reply::text(503, "busy"))),
        1 => Just(Trouble::Instead(Reply::text(500, "oops"))),
        1 => Just(Trouble::Instead(Reply::new(429).header("retry-after", "3"))),
        1 => Just(Trouble::Instead(Reply::json(200, &throttled))),
        1 => Just(Trouble::Instead(Reply::json(200, &broken))),
        1 => Just(Trouble::Instead(Reply::json(400, &too_large))),
    ]
}

fn source() -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec((1_i64..4, prop::option::of("\\PC{0,12}")), 0..400).prop_map(|rows| {
        let mut id = 0;
        let record = |(step, name)| {
            id += step;
            Record { id, name, ..Record::default() }
        };
        rows.into_iter().map(record).collect()
    })
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![Just(Style::Cursor), Just(Style::Edges), Just(Style::Offset), Just(Style::Page)]
}

#[test]
fn every_row_arrives_once_whatever_happens_on_the_way() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let cases = (source(), style(), 1_usize..130, 50_usize..200, prop::collection::vec(trouble(), 0..40));
    runner
        .run(&cases, |(source, style, page, largest, troubles)| {
            // Page numbers refer to the requested size, so the server must not return smaller pages.
            let largest_page = if matches!(style, Style::Page) { 1000 } else { largest };
            let api = Api::start(Options { largest_page, ..Options::default() });
            api.records.set(source.clone());
            api.trouble(troubles);
            let found = runtime.block_on(async {
                let bench = bench();
                let output = run(&bench, &api, config(style, page)).await.map_err(|error| error.report())?;
                assert_eq!(output.counts.read, source.len() as u64);
                bench.query("SELECT id::VARCHAR AS id, name FROM steps.items").await.map_err(|error| error.report())
            });
            // A page of one row cannot be made smaller.
            if found.as_ref().is_err_and(|error| error.contains("too complex")) {
                return Ok(());
            }
            let mut expected = Rows::new(["id", "name"]).with_types(["VARCHAR", "VARCHAR"]);
            source.iter().for_each(|record| expected.push(vec![Some(record.id.to_string()), record.name.clone()]));
            prop_assert_eq!(found.map_err(TestCaseError::fail)?, expected);
            Ok(())
        })
        .unwrap();
}

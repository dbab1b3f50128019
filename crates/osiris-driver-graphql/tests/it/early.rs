//! Lists that seem to end early: what the count next to them proves, and what null means in the places that say whether there is more.

use osiris_core::{Code, ErrorKind};
use osiris_stand_ins::graphql::{Api, Options};
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::{COMPONENT, answered, bench, by_cursor, metric, run, run_at};

/// The outcome of a step in a line: its rows, or its error.
async fn outcome(pages: Vec<Value>, config: Value) -> String {
    match answered(&bench(), pages, config).await.0 {
        Ok(output) => format!("{} rows", output.rows),
        Err(error) => format!("{}: {error}", error.kind()),
    }
}

fn users(nodes: Value, total: Value, page_info: Value) -> Value {
    json!({"data": {"users": {"totalCount": total, "nodes": nodes, "pageInfo": page_info}}})
}

fn ids(count: usize) -> Value {
    (0..count).map(|id| json!({"id": id})).collect()
}

fn last() -> Value {
    json!({"hasNextPage": false, "endCursor": null})
}

/// One request, with these arguments.
fn single(arguments: &str) -> Value {
    json!({"query": format!("{{ users({arguments}) {{ totalCount nodes {{ id }} }} }}"), "data_path": "data.users.nodes"})
}

/// Pages by cursor, with these arguments besides.
fn paged(arguments: &str) -> Value {
    let query = format!(
        "query ($after: String) {{ users(first: 2, after: $after, {arguments}) {{
           totalCount nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    json!({"query": query, "data_path": "data.users.nodes", "pagination": {}})
}

#[tokio::test]
async fn a_cursor_by_default_leaves_out_an_unknown_number_of_rows() {
    let api = Api::with_items(100, Options::default());
    let mut config = by_cursor("id");
    let query = config["query"].as_str().unwrap().replace("$after: String", "$after: String = \"after item 40\"");
    config["query"] = json!(query);
    assert_eq!(run(&bench(), &api, config.clone()).await.unwrap().rows, 60);
    // Null is the beginning of the list: then the count must be reached.
    config["variables"] = json!({"after": null});
    assert_eq!(run(&bench(), &api, config).await.unwrap().rows, 100);
    let null = paged("by: ID").to_string().replace("$after: String", "$after: String = null");
    let outcome = outcome(vec![users(ids(2), json!(9), last())], serde_json::from_str(&null).unwrap()).await;
    assert_eq!(outcome, "integrity: step `items`: the server counts 9 rows, but returned 2 in 1 page");
}

#[tokio::test]
async fn an_argument_that_requests_a_part_is_no_loss() {
    let short = "integrity: step `items`: the server counts 9 rows, but returned 2 in 1 page";
    for (arguments, expected) in [
        ("offset: 7", "2 rows"),
        ("skip: 7", "2 rows"),
        ("skip: 6", short),
        ("skip: 0", short),
        ("first: null", short),
        ("where: {size: 2}", short),
        ("start: \"2024-01-01\"", short),
        ("page: 3", "2 rows"),
        ("start: 7", "2 rows"),
        ("top: 2", "2 rows"),
        ("size: 2", "2 rows"),
        ("pagination: {page: 2, pageSize: 2}", "2 rows"),
    ] {
        let answer = || vec![users(ids(2), json!(9), last())];
        assert_eq!(outcome(answer(), single(arguments)).await, expected, "{arguments}");
        // Page by page a size is none of the whole list.
        let expected = if ["top: 2", "size: 2"].contains(&arguments) { short } else { expected };
        assert_eq!(outcome(answer(), paged(arguments)).await, expected, "by page: {arguments}");
    }
    let bench = bench();
    let (output, _) = answered(&bench, vec![users(ids(2), json!(9), last())], single("size: 2")).await;
    assert_eq!((output.unwrap().rows, metric(&bench, "rows_truncated")), (2, Some(1)), "it is reported");
}

#[test]
fn a_size_is_no_limit_of_what_is_no_list() {
    let query = "{ users { nodes { id avatar(size: 40) { url } chart(start: 1, page: 2) { url } } } }";
    for policy in ["warn", "fail"] {
        let config = json!({"query": query, "data_path": "data.users.nodes", "nested_pages": policy});
        assert_eq!(bench().config_problems(COMPONENT, &config).unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_total_that_falls_to_nothing_does_not_hide_rows() {
    let query = "query ($offset: Int) { users(offset: $offset) { totalCount nodes { id } } }";
    let config = json!({"query": query, "data_path": "data.users.nodes", "pagination": {"style": "offset"}});
    let page = |rows: usize, total: u64| users(ids(rows), json!(total), last());
    for (pages, expected) in [
        (vec![page(2, 9), page(0, 0)], "integrity: step `items`: the server counts 9 rows, but returned 2 in 2 pages"),
        (vec![page(2, 9), page(0, 2)], "integrity: step `items`: the server counts 9 rows, but returned 2 in 2 pages"),
        (vec![page(2, 2), page(0, 0)], "2 rows"),
    ] {
        assert_eq!(outcome(pages, config.clone()).await, expected);
    }
    // By cursor the first page says it.
    let server = HttpServer::start(|seen| {
        let next = seen.json()["variables"].get("after").is_none();
        let info = json!({"hasNextPage": next, "endCursor": next.then_some("a")});
        let (rows, total) = if next { (2, 9) } else { (0, 0) };
        std::future::ready(Reply::json(200, &users(ids(rows), json!(total), info)))
    });
    let server = server.unwrap();
    let failed = run_at(&bench(), json!({"endpoint": server.url()}), paged("by: ID")).await.unwrap_err();
    insta::assert_snapshot!(failed.report(), @"
    step `items`: the server counts 9 rows, but returned 2 in 2 pages
    hint: check that the query passes `$after` to the list that is paged, and `pagination.style`; or do not select `totalCount`, if it counts something else
    ");
}

#[tokio::test]
async fn a_first_page_that_is_null_among_others_is_no_empty_list() {
    let lost = "integrity: step `items`: page 1 of the rows is null";
    let more = json!({"hasNextPage": true, "endCursor": "a"});
    let mut limited = paged("by: ID");
    limited["pagination"]["max_pages"] = json!(1);
    assert_eq!(outcome(vec![users(Value::Null, Value::Null, more.clone())], limited.clone()).await, lost);
    let only_cursor = json!({"endCursor": "a"});
    assert_eq!(outcome(vec![users(Value::Null, Value::Null, only_cursor)], limited.clone()).await, lost);
    assert_eq!(outcome(vec![users(Value::Null, Value::Null, last())], limited).await, "0 rows");
    // Without pages it is the count, or what is said of the next page.
    assert_eq!(outcome(vec![users(Value::Null, json!("9"), last())], single("first: 5")).await, lost);
    let query = "{ users(first: 5) { nodes { id } pageInfo { hasNextPage } } }";
    let config = json!({"query": query, "data_path": "data.users.nodes"});
    assert_eq!(outcome(vec![users(Value::Null, Value::Null, more)], config.clone()).await, lost);
    assert_eq!(outcome(vec![users(Value::Null, Value::Null, last())], config).await, "0 rows");
}

#[tokio::test]
async fn edges_that_are_null_are_no_end() {
    let edges = |edges: Value, next: bool| {
        let info = json!({"hasNextPage": next, "endCursor": next.then_some("a")});
        json!({"data": {"users": {"edges": edges, "pageInfo": info}}})
    };
    let some = || edges(json!([{"node": {"id": 1}}]), true);
    let query =
        "query ($after: ID) { users(after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }";
    for path in ["data.users.edges[*].node", "$.data.users.edges.*.node", "$..node", "data.users.edges[?@.node].node"] {
        let config = json!({"query": query, "data_path": path, "pagination": {"path": "data.users.pageInfo"}});
        let lost = "integrity: step `items`: page 2 of the rows is null";
        assert_eq!(outcome(vec![some(), edges(Value::Null, false)], config.clone()).await, lost, "{path}");
        let lost = "integrity: step `items`: page 1 of the rows is null";
        assert_eq!(outcome(vec![edges(Value::Null, true), some()], config).await, lost, "{path}");
    }
    // As for any list that does not exist.
    let info = json!({"path": "data.users.pageInfo"});
    let config = json!({"query": query, "data_path": "data.users.edges[*].node", "pagination": info});
    assert_eq!(outcome(vec![edges(Value::Null, false)], config).await, "0 rows");
}

#[tokio::test]
async fn an_item_that_lacks_what_the_path_names_has_no_row() {
    let edges = json!({"data": {"users": {"edges": [{"node": {"id": 1}}, {}, {"node": null}]}}});
    let query = "{ users { edges { ... on Edge { node { id } } } } }";
    let mut config = json!({"query": query, "data_path": "data.users.edges[*].node"});
    let (failed, _) = answered(&bench(), vec![edges.clone()], config.clone()).await;
    insta::assert_snapshot!(failed.unwrap_err().report(), @"
    step `items`: item 2 of page 1 is null or has no `node`: it has no row
    hint: select a field that is never null, such as the key; `null_items: skip` leaves such items out and counts them
    ");
    config["null_items"] = json!("skip");
    let counts = answered(&bench(), vec![edges], config).await.0.unwrap().counts;
    assert_eq!((counts.read, counts.stored, counts.ignored), (3, 1, 2));
}

#[tokio::test]
async fn a_page_that_does_not_say_whether_there_is_another_is_not_the_last() {
    let info = |next: Value, cursor: Value| json!({"hasNextPage": next, "endCursor": cursor});
    let null = || info(Value::Null, Value::Null);
    let (failed, _) = answered(&bench(), vec![users(ids(2), Value::Null, null())], paged("by: ID")).await;
    insta::assert_snapshot!(failed.unwrap_err().report(), @"
    step `items`: the server does not say whether there is another page: {hasNextPage: null, endCursor: null}
    hint: set `pagination.has_next_field` to another field; or do not select `hasNextPage`, if a page without a cursor is the last one
    ");
    assert_eq!(outcome(vec![users(json!([]), Value::Null, null())], paged("by: ID")).await, "0 rows");
    // One that an error made null, with rows and without.
    for rows in [0, 2] {
        let mut answer = users(ids(rows), Value::Null, null());
        answer["errors"] = json!([{"message": "boom", "path": ["users", "pageInfo", "hasNextPage"]}]);
        let mut config = paged("by: ID");
        config["partial_errors"] = json!("warn");
        assert!(outcome(vec![answer], config).await.contains("does not say whether there is another page"));
    }
    let pages = vec![users(ids(2), Value::Null, info(Value::Null, json!("a"))), users(ids(1), Value::Null, last())];
    assert_eq!(outcome(pages, paged("by: ID")).await, "3 rows");
}

#[tokio::test]
async fn a_key_that_is_not_unique_is_no_cursor() {
    let page =
        |days: &[u64]| json!({"data": {"users": days.iter().map(|day| json!({"day": day})).collect::<Vec<_>>()}});
    let query = "query ($after: Int) { users(where: {day: {_gt: $after}}) { day } }";
    let pagination = json!({"cursor_path": "data.users[-1].day"});
    let config = json!({"query": query, "data_path": "data.users", "pagination": pagination});
    let failed = answered(&bench(), vec![page(&[1, 2, 2]), page(&[3]), page(&[])], config.clone()).await.0;
    insta::assert_snapshot!(failed.unwrap_err().report(), @"
    step `items`: the last two items of a page have the same `data.users[-1].day`: others may be between the pages
    hint: sort the list by a key that is unique, and set `pagination.cursor_path` to it
    ");
    assert_eq!(outcome(vec![page(&[1, 1, 2]), page(&[3]), page(&[])], config).await, "4 rows");
}

#[tokio::test]
async fn what_is_behind_a_sample_is_not_looked_at() {
    let nodes = |mut rows: Vec<Value>| {
        rows.push(Value::Null);
        json!({"data": {"users": {"nodes": rows, "edges": rows}}})
    };
    let rows: Vec<Value> = (0..100).map(|id| json!({"id": id, "node": {"id": id}})).collect();
    for (fields, path) in [("nodes { id }", "data.users.nodes"), ("edges { node { id } }", "data.users.edges[*].node")]
    {
        let config = json!({"query": format!("{{ users {{ {fields} }} }}"), "data_path": path});
        for (rows, expected) in [(rows.clone(), Some(100)), (rows[1..].to_vec(), None)] {
            let server = HttpServer::scripted([Reply::json(200, &nodes(rows))]).unwrap();
            let bench = bench();
            let step = bench.step("items", COMPONENT, config.clone()).connection(json!({"endpoint": server.url()}));
            assert_eq!(step.dry_run().run().await.ok().map(|output| output.rows), expected, "{path}");
        }
    }
}

#[test]
fn pages_that_go_backwards_need_what_is_said_of_the_previous_one() {
    let problems = |info: &str, pagination: Value| {
        let query =
            format!("query ($b: ID) {{ users(last: 5, before: $b) {{ nodes {{ id }} pageInfo {{ {info} }} }} }}");
        let config = json!({"query": query, "data_path": "data.users.nodes", "pagination": pagination});
        let problems = bench().config_problems(COMPONENT, &config).unwrap();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(problems("hasNextPage endCursor", json!({"variable": "b"})), @"
    pagination.has_next_field: `before: $b` pages backwards, but `pageInfo` is asked for the next page (set `has_next_field: hasPreviousPage` and `cursor_field: startCursor`, and select them in the query)
    ");
    let fields = json!({"variable": "b", "has_next_field": "hasPreviousPage", "cursor_field": "startCursor"});
    assert_eq!(problems("hasPreviousPage startCursor", fields), "");
    let fields = json!({"variable": "b", "has_next_field": "more", "cursor_field": "at"});
    assert_eq!(problems("more: hasPreviousPage at: startCursor", fields), "");
}

#[tokio::test]
async fn with_fail_a_nested_list_must_show_that_it_is_whole() {
    let counted = |count: Value| json!({"totalCount": count, "nodes": ids(3)});
    let flagged = |info: Value| json!({"nodes": ids(3), "pageInfo": info});
    for (fields, list, warns, fails) in [
        ("totalCount nodes { id }", counted(json!("150")), true, true),
        ("totalCount nodes { id }", counted(json!("3")), false, false),
        ("totalCount nodes { id }", counted(Value::Null), false, true),
        ("totalCount nodes { id }", counted(json!("many")), false, true),
        ("totalCount nodes { id }", json!({"totalCount": 3, "nodes": null}), true, true),
        ("totalCount nodes { id }", Value::Null, false, false),
        ("nodes { id } pageInfo { hasNextPage }", flagged(Value::Null), false, true),
        ("nodes { id } pageInfo { hasNextPage }", flagged(json!({"hasNextPage": null})), false, true),
        ("nodes { id } pageInfo { hasNextPage }", flagged(json!({"hasNextPage": false})), false, false),
    ] {
        let query = format!("{{ users {{ id lines {{ {fields} }} }} }}");
        let answer = || vec![json!({"data": {"users": [{"id": 1, "lines": list}]}})];
        let config = |policy: &str| json!({"query": query, "data_path": "data.users", "nested_pages": policy});
        let bench = bench();
        answered(&bench, answer(), config("warn")).await.0.unwrap();
        assert_eq!(metric(&bench, "rows_truncated").is_some(), warns, "{fields} {list}");
        let (outcome, _) = answered(&crate::bench(), answer(), config("fail")).await;
        assert_eq!(outcome.err().map(|error| error.kind()), fails.then_some(ErrorKind::Integrity), "{fields} {list}");
    }
    let config = json!({"query": "{ users { lines { totalCount nodes { id } } } }", "data_path": "data.users", "nested_pages": "fail"});
    let (outcome, _) =
        answered(&bench(), vec![json!({"data": {"users": [{"lines": counted(Value::Null)}]}})], config).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), Code::UnexpectedResponse);
    insta::assert_snapshot!(error.report(), @"
    step `items`: the list `lines` may be incomplete: the response has no valid `totalCount`
    hint: select another sign that it is whole, or set `nested_pages: warn`
    ");
}

//! Bad input and bad answers, and what is said about them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use osiris_core::ErrorKind;
use osiris_testkit::http_server::{HttpServer, Reply};
use serde_json::{Value, json};

use crate::{COMPONENT, bench, by_cursor, failure, run, run_at, shown};
use osiris_stand_ins::graphql::{Api, Options, Trouble};

/// All problems of a configuration.
fn problems(config: Value) -> String {
    let bench = bench();
    let problems = bench.config_problems(COMPONENT, &config).unwrap();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_query_is_checked_before_anything_is_sent() {
    insta::assert_snapshot!(problems(json!({"query": "query {\n  users {\n    id\n  }}\n}"})), @"
    query: line 5, column 1: expected a StringValue, Name or OperationDefinition
    ");
    insta::assert_snapshot!(problems(json!({"query": "mutation { removeEverything }"})), @"
    query: line 1, column 1: a mutation is not allowed: an extractor only reads (write a `query`)
    ");
    insta::assert_snapshot!(problems(json!({"query": "query ($id: ID!, $n: Int!) { user(id: $id, n: $n) { name } }", "variables": {"n": null}})), @"
    variables: `id` is missing: the query declares `$id: ID!` (set `variables: {id: ...}`, or a default in the query)
    variables: `n` is null: the query declares it as `Int!` (set `variables: {n: ...}`, or a default in the query)
    ");
    insta::assert_snapshot!(problems(json!({"query": "{ users { name } }", "variables": {"id": 1}})), @"
    variables: the query declares no variable `$id` (declare it, or remove it here)
    ");
}

#[test]
fn paths_are_checked_against_the_query() {
    let query = "{ users { nodes { id } pageInfo { hasNextPage endCursor } } }";
    insta::assert_snapshot!(problems(json!({"query": query, "data_path": "data.users.node"})), @"
    data_path: the query selects no `node` in `data.users`; it selects: nodes, pageInfo (use the names in the response, which are aliases where the query has them)
    ");
    insta::assert_snapshot!(problems(json!({"query": query, "data_path": "users.nodes"})), @"
    data_path: `users` is not a member of a response (expected a path that begins with `data`, such as `data.users.nodes`)
    ");
    insta::assert_snapshot!(problems(json!({"query": query, "data_path": "data.users[?@.id"})), @"
    data_path: invalid path `data.users[?@.id`: at position 18, in long-hand segment, expected closing ']' (write names, `[n]` and `[*]`, such as `data.items` or `$.data.edges[*].node`)
    ");
    insta::assert_snapshot!(problems(json!({
        "query": "query ($after: String) { users(after: $after) { nodes { id } } }", "data_path": "data.users.nodes", "pagination": {},
    })), @"
    query: the query selects no `pageInfo` next to the rows: the next page cannot be found (add `pageInfo { hasNextPage endCursor }`, or set `pagination.path` or `pagination.cursor_path`)
    ");
}

#[test]
fn a_pagination_has_to_fit_the_query() {
    let query = "query ($first: Int) { users(first: $first) { nodes { id } pageInfo { hasNextPage endCursor } } }";
    let path = "data.users.nodes";
    insta::assert_snapshot!(problems(json!({"query": query, "data_path": path, "pagination": {"page_size_variable": "n"}})), @"
    pagination.variable: the query does not declare the variable `$after`: every page would be the same (write `query ($after: String)` and pass it on: `users(after: $after)`)
    pagination.page_size_variable: the query does not declare the variable `$n`: the size could not be set (write `query ($n: Int)` and pass it on: `users(first: $n)`)
    ");
    insta::assert_snapshot!(problems(json!({"query": query, "data_path": path, "pagination_path": "data.users.info", "pagination_variable": "first"})), @"
    pagination_path: the query selects no `info` in `data.users`; it selects: nodes, pageInfo (select it, such as `pageInfo { hasNextPage endCursor }`)
    ");
    insta::assert_snapshot!(problems(json!({
        "query": query, "pagination": {"page_size": 0, "style": "cursr"}, "pagination_page_size": 10_001, "max_retries": 11,
        "partial_errors": "ignore", "retry_delay": 0, "queri": 1,
    })), @"
    max_retries: 11 is too large: at most 10
    pagination.page_size: 0 is too small: at least 1
    pagination.style: `cursr` is not one of cursor, offset, page (did you mean `cursor`?)
    pagination_page_size: 10001 is too large: at most 10000
    partial_errors: `ignore` is not one of fail, warn
    queri: unknown field `queri` (did you mean `query`?)
    retry_delay: 0 is too small: at least 0.1
    ");
    insta::assert_snapshot!(problems(json!({
        "query": "query ($o: Int) { us(o: $o) { t { id } } }", "data_path": "data.us[*].t[*]", "pagination": {"style": "offset", "variable": "o"},
    })), @"
    data_path: `data.us[*].t[*]` may find more or fewer rows than items, which an offset counts (select the items themselves, and filter or unnest them in a later step)
    ");
}

#[test]
fn a_part_of_a_nested_list_is_a_warning() {
    let query = "{ users { nodes { id posts(first: 5) { nodes { id } } } } }";
    insta::assert_snapshot!(problems(json!({"query": query, "data_path": "data.users.nodes"})), @"
    query: `posts` may be incomplete: the query requests only a part of it (select `pageInfo { hasNextPage }` there)
    ");
}

#[tokio::test]
async fn an_error_of_the_server_is_reported_as_it_says_it() {
    let config = json!({"query": "{\n  items { nodes { id nme } }\n}", "data_path": "data.items.nodes"});
    let mut said = Vec::new();
    for refused in [200, 400] {
        let api = Api::with_items(1, Options { refused, ..Options::default() });
        let text = failure(&api, config.clone()).await;
        said.push(text.replace("\n  status: 400", ""));
        assert_eq!(api.asked().len(), 1, "it is not asked again");
    }
    assert_eq!(said[0], said[1], "whether with status 200 or 400");
    insta::assert_snapshot!(said[0], @r#"
    validation: step `items`: the server says: Unknown field "nme" on type "Item". Did you mean "name"? (line 2, column 22)
      page: 1
    hint: fix the query or its `variables`
    "#);
}

/// What is said when the server answers this.
async fn answered(reply: Reply) -> String {
    let api = Api::with_items(1, Options::default());
    api.trouble(vec![Trouble::Instead(reply); 9]);
    let mut config = by_cursor("id");
    config["max_retries"] = json!(1);
    failure(&api, config).await
}

#[tokio::test]
async fn answers_that_are_none_are_named() {
    let html =
        Reply::new(200).header("content-type", "text/html").body("<!DOCTYPE html><html><body>Sign in</body></html>");
    insta::assert_snapshot!(answered(html).await, @"
    validation: step `items`: the response is a web page: expected JSON
      content type: text/html
      page: 1
    hint: check the address: it may be that of a website, a login page or a proxy
    ");
    insta::assert_snapshot!(answered(Reply::json(200, &json!({"hello": "there"}))).await, @"
    validation: step `items`: the response is not a GraphQL response: it has neither `data` nor `errors`
      page: 1
    hint: check `endpoint` of the connection: its path is often `/graphql`
    ");
    insta::assert_snapshot!(answered(Reply::text(200, "{\"data\": {\"items\": ").body("{\"data\": {\"items\": ")).await, @"
    network: step `items`: the response ended in the middle of the JSON
      page: 1
    hint: the server or the network failed: try later, or raise `max_retries`
    ");
    insta::assert_snapshot!(answered(Reply::text(200, "")).await, @"
    validation: step `items`: the response is empty: expected JSON
      status: 200
      page: 1
    hint: check the address: it may be that of another service
    ");
    insta::assert_snapshot!(answered(Reply::json(200, &json!({"data": null}))).await, @"
    validation: step `items`: `data_path` matches nothing: $.data is null, which has no `.items`
      data_path: data.items.nodes
      page: 1
    hint: use the names in the response, which are aliases where the query has them
    ");
    insta::assert_snapshot!(answered(Reply::json(200, &json!({"data": {"items": {"nodes": [{"id": 1}]}}}))).await, @"
    validation: step `items`: `data.items.pageInfo` is missing from the response, so the next page cannot be found: `data.items` is {nodes}
    hint: set `pagination.path` to the object that describes the next page
    ");
    insta::assert_snapshot!(answered(Reply::json(200, &json!({"data": {"items": {"rows": []}}}))).await, @"
    validation: step `items`: `data_path` matches nothing: $.data.items has no member `nodes`; it has: rows
      data_path: data.items.nodes
      page: 1
    hint: use the names in the response, which are aliases where the query has them
    ");
}

#[tokio::test]
async fn errors_of_ten_megabytes_are_not_read_to_their_end() {
    let text = answered(Reply::text(400, &"e".repeat(10 << 20))).await;
    assert!(text.len() < 1000, "{} bytes", text.len());
    insta::assert_snapshot!(text, @"
    validation: step `items`: reading a page: the server answered 400 Bad Request
      url: http://host/graphql
      status: 400
      page: 1
    hint: check `endpoint` of the connection, and the query
    ");
    let errors = json!({"errors": [{"message": "e".repeat(10 << 20)}]});
    let text = answered(Reply::json(200, &errors)).await;
    assert!(text.len() < 1000, "{} bytes", text.len());
}

#[tokio::test]
async fn a_cursor_that_comes_again_or_not_at_all_is_an_error() {
    let page = |next: Value, cursor: Value| {
        let info = json!({"hasNextPage": next, "endCursor": cursor});
        Reply::json(200, &json!({"data": {"items": {"nodes": [{"id": 1}], "pageInfo": info}}}))
    };
    insta::assert_snapshot!(answered(page(json!(true), json!("same"))).await, @"
    integrity: step `items`: pagination loop: the server returned the cursor after row 2 again
    hint: check that the query passes `$after` to the list that is paged, and `pagination.style`
    ");
    insta::assert_snapshot!(answered(page(json!(true), Value::Null)).await, @"
    validation: step `items`: the server reports another page, but returned no cursor for it: {hasNextPage: true, endCursor: null}
    hint: select the cursor, `pageInfo { hasNextPage endCursor }`, or name its field: `pagination.cursor_field`
    ");
    insta::assert_snapshot!(answered(page(json!("yes"), json!("a"))).await, @"
    validation: step `items`: `data.items.pageInfo.hasNextPage` is a string: expected true or false
    hint: set `pagination.has_next_field` to another field
    ");
    insta::assert_snapshot!(answered(Reply::json(200, &json!({"data": {"items": {"nodes": [], "pageInfo": {}}}}))).await, @"
    validation: step `items`: `data.items.pageInfo` has neither `hasNextPage` nor `endCursor`; it is {}
    hint: select them in the query, or set `pagination.has_next_field` and `pagination.cursor_field`
    ");
}

#[tokio::test]
async fn a_server_that_does_not_heed_the_offset_does_not_keep_us_for_ever() {
    let server = HttpServer::scripted([Reply::json(200, &json!({"data": {"users": [{"id": 1}]}}))]).unwrap();
    let config = json!({
        "query": "query ($offset: Int) { users(offset: $offset) { id } }", "data_path": "data.users", "pagination": {"style": "offset"},
    });
    let error = run_at(&bench(), json!({"endpoint": server.url()}), config).await.unwrap_err();
    insta::assert_snapshot!(error.report(), @"
    step `items`: page 2 is identical to page 1
    hint: check that the query passes `$offset` to the list that is paged, and `pagination.style`; if it does, select a field that identifies each row
    ");
}

/// A server whose pages all have these rows, and new cursors; how many pages there are, where they end.
fn pages_of(rows: Value, pages: Option<usize>) -> HttpServer {
    let requests = AtomicUsize::new(0);
    let server = HttpServer::start(move |_| {
        let page = requests.fetch_add(1, Relaxed) + 1;
        let info = json!({"hasNextPage": Some(page) != pages, "endCursor": page.to_string()});
        let items = json!({"nodes": rows.clone(), "pageInfo": info});
        std::future::ready(Reply::json(200, &json!({"data": {"items": items}})))
    });
    server.unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_heed_the_cursor_but_sends_new_ones_does_not_keep_us_for_ever() {
    let server = pages_of(json!([{"id": 1}, {"id": 2}]), None);
    let error = run_at(&bench(), json!({"endpoint": server.url()}), by_cursor("id")).await.unwrap_err();
    insta::assert_snapshot!(error.report(), @"
    step `items`: page 2 is identical to page 1
    hint: check that the query passes `$after` to the list that is paged, and `pagination.style`; if it does, select a field that identifies each row
    ");
}

#[tokio::test]
async fn pages_of_rows_that_nothing_identifies_are_read_to_their_end_if_they_have_one() {
    let equal = json!([{"status": "open"}, {"status": "open"}, {"status": "paid"}]);
    for (rows, count) in [(equal.clone(), 15), (json!([{"status": "open"}]), 5)] {
        let server = pages_of(rows, Some(5));
        let output = run_at(&bench(), json!({"endpoint": server.url()}), by_cursor("status")).await.unwrap();
        assert_eq!((output.rows, server.requests().len()), (count, 5));
    }
    let server = pages_of(equal, None);
    let error = run_at(&bench(), json!({"endpoint": server.url()}), by_cursor("status")).await.unwrap_err();
    insta::assert_snapshot!(error.report(), @"
    step `items`: page 101 is identical to page 100
    hint: check that the query passes `$after` to the list that is paged, and `pagination.style`; if it does, select a field that identifies each row
    ");
}

#[tokio::test]
async fn temporary_failures_are_retried_and_permanent_ones_are_reported() {
    let api = Api::with_items(30, Options::default());
    api.trouble([Trouble::Cut, Trouble::Truncated, Trouble::None, Trouble::Instead(Reply::text(502, "oops"))]);
    assert_eq!(run(&bench(), &api, by_cursor("id")).await.unwrap().rows, 30);
    assert_eq!(api.asked().len(), 3 + 3);
    let api = Api::with_items(30, Options::default());
    api.trouble(vec![Trouble::Instead(Reply::text(503, "busy")); 9]);
    let error = run(&bench(), &api, by_cursor("id")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable(), api.asked().len()), (ErrorKind::Network, true, 4));
    insta::assert_snapshot!(shown(&error, &api), @"
    network: step `items`: reading a page: the server answered 503 Service Unavailable
      url: http://host/graphql
      status: 503
      page: 1
    hint: the server or the network failed: try later, or raise `max_retries`
    ");
}

#[tokio::test]
async fn a_page_that_cannot_be_made_smaller_says_what_to_do() {
    let api = Api::with_items(30, Options { complexity: Some(3), ..Options::default() });
    let config = json!({"query": "{ items(first: 100) { nodes { id } } }", "data_path": "data.items.nodes"});
    insta::assert_snapshot!(failure(&api, config).await, @"
    validation: step `items`: the server says: Query is too complex.
      limit: complexity
      page: 1
    hint: set a smaller `pagination.page_size`; with `page_size_variable` it shrinks automatically
    ");
}

//! Rows: nested objects, lists, nulls, errors in responses with data, and responses without rows.

use osiris_testkit::Rows;
use osiris_testkit::http_server::Reply;
use serde_json::{Value, json};

use crate::{bench, by_cursor, failure, metric, rows, run};
use osiris_stand_ins::graphql::{Api, Options, Record, Trouble, item};

fn single(fields: &str) -> Value {
    json!({"query": format!("{{ items {{ nodes {{ {fields} }} }} }}"), "data_path": "data.items.nodes"})
}

fn with(mut config: Value, name: &str, value: Value) -> Value {
    config[name] = value;
    config
}

#[tokio::test]
async fn nested_objects_become_columns_and_lists_json() {
    let api = Api::with_items(0, Options::default());
    api.records.set(vec![item(8), item(9)]);
    let bench = bench();
    let fields = "id flag owner { id name } labels(first: 1) { nodes { name } }";
    let found = rows(&bench, &run(&bench, &api, single(fields)).await.unwrap()).await;
    let columns = ["id", "flag", "owner.id", "owner.name", "labels.nodes"];
    let expected = Rows::new(columns).with_types(["BIGINT", "BOOLEAN", "BIGINT", "VARCHAR", "JSON"]);
    let mut expected = expected.row(["8", "true", "2", "owner 2", r#"[{"name":"label 0"}]"#]);
    expected.push(vec![Some("9".into()), Some("false".into()), None, None, Some(r#"[{"name":"label 0"}]"#.into())]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_object_that_is_null_leaves_its_columns_whichever_row_comes_first() {
    let api = Api::with_items(0, Options::default());
    for ids in [vec![9, 8], vec![9], vec![9, 19]] {
        api.records.set(ids.iter().map(|id| item(*id)).collect());
        let bench = bench();
        let found = rows(&bench, &run(&bench, &api, single("id owner { id name }")).await.unwrap()).await;
        assert_eq!(found.columns(), ["id", "owner.id", "owner.name"], "{ids:?}");
        assert_eq!(found.rows().len(), ids.len());
    }
}

#[tokio::test]
async fn objects_stay_json_where_flattening_is_switched_off() {
    let api = Api::with_items(1, Options::default());
    let bench = bench();
    let config = with(single("id owner { name }"), "flatten_result", json!(false));
    let found = rows(&bench, &run(&bench, &api, config).await.unwrap()).await;
    let expected = Rows::new(["id", "owner"]).with_types(["BIGINT", "JSON"]).row(["1", r#"{"name":"owner 1"}"#]);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_json_scalar_is_one_column_whatever_it_holds() {
    let docs = [
        json!({"a.b": 1, "a": {"b": 2}}),
        json!({}),
        json!({"x": null}),
        json!({"k17": {"e": [1]}}),
        json!("1"),
        json!(1),
        json!(null),
    ];
    for turn in 0..docs.len() {
        let mut docs = docs.to_vec();
        docs.rotate_left(turn);
        let node = |doc: &Value| json!({"id": 1, "doc": doc, "owner": {"name": "x", "doc": doc}});
        let nodes: Vec<Value> = docs.iter().map(node).collect();
        let api = Api::with_items(0, Options::default());
        api.trouble([Trouble::Instead(Reply::json(200, &json!({"data": {"items": {"nodes": nodes}}})))]);
        let bench = bench();
        let output = run(&bench, &api, single("id doc owner { name doc }")).await.unwrap();
        let types = ["BIGINT", "JSON", "VARCHAR", "JSON"];
        let mut expected = Rows::new(["id", "doc", "owner.name", "owner.doc"]).with_types(types);
        for doc in &docs {
            let doc = (!doc.is_null()).then(|| doc.to_string());
            expected.push(vec![Some("1".into()), doc.clone(), Some("x".into()), doc]);
        }
        assert_eq!(rows(&bench, &output).await, expected, "{turn}");
        assert_eq!(output.counts.altered, 0);
    }
}

#[tokio::test]
async fn an_object_is_one_row_and_the_default_path_is_the_whole_answer() {
    let api = Api::with_items(3, Options::default());
    let bench = bench();
    let query = json!({"query": "query ($id: Int!) { item(id: $id) { id name } version }", "variables": {"id": 2}});
    let found = rows(&bench, &run(&bench, &api, query).await.unwrap()).await;
    let types = ["BIGINT", "VARCHAR", "VARCHAR"];
    assert_eq!(found, Rows::new(["item.id", "item.name", "version"]).with_types(types).row(["2", "item 2", "1"]));
}

#[tokio::test]
async fn jsonpath_may_filter_and_unfold() {
    let api = Api::with_items(12, Options::default());
    let bench = bench();
    for (path, count) in [
        ("$.data.items.nodes[?@.flag == true]", 6),
        ("data.items.nodes[0:5]", 5),
        ("$..labels.nodes[*]", 27),
        ("data.items.nodes[*].labels.nodes[*].name", 27),
    ] {
        let config = with(single("id flag labels { nodes { name } }"), "data_path", json!(path));
        assert_eq!(run(&bench, &api, config).await.unwrap().rows, count, "{path}");
    }
}

#[tokio::test]
async fn an_answer_without_rows_has_the_columns_that_the_query_promises() {
    let api = Api::with_items(0, Options::default());
    let bench = bench();
    for config in [by_cursor("id owner { name }"), single("id owner { name }")] {
        let output = run(&bench, &api, config).await.unwrap();
        assert_eq!((output.rows, output.counts.read), (0, 0));
        let expected = Rows::new(["id", "owner.name"]).with_types(["VARCHAR", "VARCHAR"]);
        assert_eq!(rows(&bench, &output).await, expected);
    }
    let nobody = json!({"query": "{ item(id: 77) { id } }", "data_path": "data.item"});
    assert_eq!(run(&bench, &api, nobody).await.unwrap().rows, 0);
}

#[tokio::test]
async fn errors_that_come_with_data_fail_unless_they_are_accepted() {
    let api = Api::with_items(8, Options::default());
    insta::assert_snapshot!(failure(&api, single("id fragile")).await, @"
    unknown: step `items`: the server says: the fragile part is broken (line 1, column 22; at items.nodes.3.fragile)
      page: 1
    hint: the query ran and failed: select less, or set `partial_errors: warn` to keep the rows that were returned
    ");
    let bench = bench();
    let config = with(single("id fragile"), "partial_errors", json!("warn"));
    let output = run(&bench, &api, config).await.unwrap();
    assert_eq!((output.rows, metric(&bench, "partial_errors")), (8, Some(1)));
    // Where the field must not be null its item is null: no row, which the ledger counts.
    let lost = json!({"message": "it is lost", "path": ["items", "nodes", 1, "id"]});
    let answer = json!({"data": {"items": {"nodes": [{"id": 1}, null, {"id": 3}]}}, "errors": [lost]});
    api.trouble([Trouble::Instead(Reply::json(200, &answer))]);
    let output = run(&bench, &api, with(single("id"), "partial_errors", json!("warn"))).await.unwrap();
    assert_eq!((output.rows, output.counts.read, output.counts.ignored), (2, 3, 1));
}

#[tokio::test]
async fn a_list_inside_of_a_row_that_has_more_pages_is_reported() {
    let api = Api::with_items(10, Options::default());
    let bench = bench();
    let fields = "id labels(first: 5) { nodes { name } pageInfo { hasNextPage } }";
    run(&bench, &api, by_cursor(fields)).await.unwrap();
    assert_eq!(metric(&bench, "rows_truncated"), Some(4), "the items 6 to 9");
    let all = by_cursor("id labels(first: 9) { nodes { name } pageInfo { hasNextPage } }");
    let other = crate::bench();
    run(&other, &api, all).await.unwrap();
    assert_eq!(metric(&other, "rows_truncated"), None);
    insta::assert_snapshot!(failure(&api, with(by_cursor(fields), "nested_pages", json!("fail"))).await, @"
    integrity: step `items`: the list `labels` has more pages than were fetched
    hint: paginate it (`pagination`), request more of it at once, or set `nested_pages: warn`
    ");
}

#[tokio::test]
async fn a_list_that_is_not_paged_and_has_more_is_told_too() {
    let api = Api::with_items(10, Options::default());
    let query = "{ items(first: 4) { nodes { id } pageInfo { hasNextPage } } }";
    let bench = bench();
    run(&bench, &api, json!({"query": query, "data_path": "data.items.nodes"})).await.unwrap();
    assert_eq!(metric(&bench, "rows_truncated"), Some(1));
    let fail = json!({"query": query, "data_path": "data.items.nodes", "nested_pages": "fail"});
    insta::assert_snapshot!(failure(&api, fail).await, @"
    integrity: step `items`: the list `items` has more pages than were fetched
    hint: paginate it (`pagination`), request more of it at once, or set `nested_pages: warn`
    ");
}

#[tokio::test]
async fn numbers_beyond_64_bits_and_texts_of_every_kind_arrive_as_they_are() {
    let api = Api::with_items(0, Options::default());
    let name = "quotes \" and \\, a line\nbreak, ů ✓ 日本 \u{1f600}";
    api.records.set(vec![Record { id: i64::MAX, name: Some(name.into()), ..Record::default() }, item(1)]);
    let bench = bench();
    let found = rows(&bench, &run(&bench, &api, single("id name")).await.unwrap()).await;
    let expected = Rows::new(["id", "name"]).with_types(["BIGINT", "VARCHAR"]);
    assert_eq!(found, expected.row([i64::MAX.to_string().as_str(), name]).row(["1", "item 1"]));
}

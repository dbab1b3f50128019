//! Lists inside of rows that are cut, with and without a sign of it.

use osiris_core::ErrorKind;
use serde_json::{Value, json};

use crate::{COMPONENT, answered, bench, metric};

fn config(fields: &str, policy: &str) -> Value {
    let query = format!("query ($n: Int) {{ users {{ id {fields} }} }}");
    json!({"query": query, "data_path": "data.users", "nested_pages": policy, "variables": {"n": 2}})
}

fn users(name: &str, list: &Value) -> Value {
    let mut user = json!({"id": 1});
    user[name] = list.clone();
    json!({"data": {"users": [user]}})
}

#[tokio::test]
async fn p10b_a_list_that_is_shorter_than_its_count_or_as_long_as_its_limit_is_cut() {
    let three = json!([{"id": 1}, {"id": 2}, {"id": 3}]);
    let two = json!([{"id": 1}, {"id": 2}]);
    let counted = |count: u64| json!({"totalCount": count, "nodes": three});
    for (fields, name, list, is_cut) in [
        ("lines { totalCount nodes { id } }", "lines", counted(150), true),
        ("lines { totalCount nodes { id } }", "lines", counted(3), false),
        ("lines(limit: 2) { id }", "lines", two.clone(), true),
        ("some: lines(limit: $n) { id }", "some", two.clone(), true),
        ("lines(limit: 2) { id }", "lines", json!([{"id": 1}]), false),
        ("lines(first: 3) { nodes { id } }", "lines", json!({"nodes": three}), true),
        ("lines(first: 4) { nodes { id } }", "lines", json!({"nodes": three}), false),
        ("lines(first: 3) { totalCount nodes { id } }", "lines", counted(3), false),
    ] {
        let bench = bench();
        let (output, _) = answered(&bench, vec![users(name, &list)], config(fields, "warn")).await;
        assert_eq!(output.unwrap().rows, 1);
        assert_eq!(metric(&bench, "rows_truncated").is_some(), is_cut, "{fields}");
        let (outcome, _) = answered(&crate::bench(), vec![users(name, &list)], config(fields, "fail")).await;
        let kind = outcome.err().map(|error| error.kind());
        assert_eq!(kind, is_cut.then_some(ErrorKind::Integrity), "{fields}");
    }
}

#[test]
fn p10b_fail_refuses_a_query_that_does_not_show_whether_a_list_is_whole() {
    let problems = |fields: &str, policy: &str| {
        let mut config = config(fields, policy);
        if !fields.contains("$n") {
            config["query"] = json!(config["query"].as_str().unwrap().replace("query ($n: Int) ", ""));
            config["variables"] = json!({});
        }
        let problems = bench().config_problems(COMPONENT, &config).unwrap();
        problems.iter().map(|problem| format!("{:?}: {problem}", problem.severity)).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(problems("lines { nodes { id } }", "fail"), @"
    Error: query: `lines` may be incomplete: nothing shows whether it is whole (select `pageInfo { hasNextPage }` or `totalCount` there, or set `nested_pages: warn`)
    ");
    insta::assert_snapshot!(problems("lines(after: \"x\") { id }", "fail"), @"
    Error: query: `lines` may be incomplete: the query requests only a part of it (select `pageInfo { hasNextPage }` or `totalCount` there, or set `nested_pages: warn`)
    ");
    insta::assert_snapshot!(problems("lines(limit: 2) { id }", "warn"), @"
    Warning: query: `lines` may be incomplete: the query requests only a part of it (select `pageInfo { hasNextPage }` there)
    ");
    for fields in ["lines(limit: 2) { id }", "lines { totalCount nodes { id } }", "owner { id }", "lines { id }"] {
        assert_eq!(problems(fields, "fail"), "", "{fields}");
    }
    assert_eq!(problems("lines { nodes { id } }", "warn"), "");
}

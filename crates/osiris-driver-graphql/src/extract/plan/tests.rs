//! What is found out before anything is sent.

use serde_json::json;

use super::*;

fn plan(config: Value) -> ExtractPlan {
    ExtractPlan::new(&serde_json::from_value(config).unwrap()).unwrap()
}

#[test]
fn the_page_info_and_the_total_next_to_the_rows_are_found() {
    let fields = "total nodes { id tags { pageInfo { hasNextPage } } } edges { node { id } } info: pageInfo { hasNextPage endCursor }";
    for path in ["data.org.list.nodes", "$.data.org.list.edges[*].node", "data.org.list.nodes[?@.id > 1]"] {
        let query = format!("query ($after: ID) {{ org {{ list: users(after: $after) {{ {fields} }} }} }}");
        let plan = plan(json!({"query": query, "data_path": path, "pagination": {}}));
        assert_eq!(plan.page_info.unwrap().join("."), "data.org.list.info", "{path}");
        assert_eq!(plan.total.unwrap().join("."), "data.org.list.total", "{path}");
    }
}

#[test]
fn a_style_that_needs_none_takes_the_page_info_only_if_it_says_something() {
    let config = |info: &str| {
        let query = format!("query ($offset: Int = 5) {{ users(o: $offset) {{ items {{ id }} {info} }} }}");
        json!({"query": query, "data_path": "data.users.items", "pagination": {"style": "offset"}})
    };
    assert_eq!(plan(config("")).page_info, None);
    assert_eq!(plan(config("pageInfo { endCursor }")).page_info, None);
    let plan = plan(config("pageInfo { hasNextPage }"));
    assert!(plan.page_info.is_some());
    assert_eq!(plan.start, Some(5), "the variable's default is where to begin");
}

#[test]
fn a_dry_run_is_one_small_page() {
    let query = "query ($first: Int, $after: ID) { users(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage } } }";
    let pagination = json!({"page_size_variable": "first", "page_size": 500});
    let mut plan = plan(json!({"query": query, "data_path": "data.users.nodes", "pagination": pagination}));
    assert!(plan.shrinks());
    plan.keep_small();
    let paging = plan.paging.unwrap();
    assert_eq!((paging.size.unwrap().rows, plan.max_rows), (100, Some(100)));
}

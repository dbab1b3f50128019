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
        assert_eq!(plan.total.unwrap().names.join("."), "data.org.list.total", "{path}");
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
fn p6_a_count_next_to_the_rows_or_one_that_is_named_must_be_reached() {
    let total = |path: &str, beside: &str, total: Value| {
        let query = format!(
            "query ($page: Int) {{ totalCount org {{ users(p: $page) {{ items {{ id totalCount }} {beside} }} }} meta {{ n }} }}"
        );
        let pagination = json!({"style": "page", "total": total});
        let plan = plan(json!({"query": query, "data_path": path, "pagination": pagination}));
        plan.total.map(|total| (total.names.join("."), total.is_count))
    };
    let found = |names: &str, is_count| Some((names.to_owned(), is_count));
    for path in ["data.org.users.items", "$.data.org.users.items[*].id", "data.org.users.items[?@.id > 1]"] {
        assert_eq!(total(path, "all: totalCount", json!(null)), found("data.org.users.all", true), "{path}");
        assert_eq!(total(path, "total_count", json!("data.meta.n")), found("data.meta.n", true), "{path}");
    }
    // What stands elsewhere may count something else.
    let (_, is_count) = total("data.org.users.items", "total", json!(null)).unwrap();
    assert!(!is_count);
    let config = json!({"query": "{ a { id } }", "data_path": "data.a", "pagination": {"total": "data.b.c"}});
    let problems = ExtractPlan::new(&serde_json::from_value(config).unwrap()).unwrap_err();
    assert!(problems.iter().any(|problem| problem.pointer == "/pagination/total"), "{problems:?}");
}

#[test]
fn p6_the_count_of_a_list_may_be_in_its_meta() {
    let total = |list: &str, meta: &str| {
        let fields = format!("allUsers{list} {{ id }} {meta}");
        let declared = ["$f: Filter", "$g: Filter"].into_iter().filter(|variable| fields.contains(&variable[..2]));
        let query = format!("query ($page: Int {}) {{ {fields} }}", declared.collect::<Vec<_>>().join(" "));
        let plan = plan(json!({"query": query, "data_path": "data.allUsers", "pagination": {"style": "page"}}));
        plan.total.filter(|total| total.is_count).map(|total| total.names.join("."))
    };
    let found = Some("data._allUsersMeta.count".to_owned());
    assert_eq!(total("(page: $page)", "_allUsersMeta { count }"), found);
    assert_eq!(total("(page: $page)", "m: _allUsersMeta { n: count }").as_deref(), Some("data.m.n"));
    assert_eq!(total("(page: $page, filter: $f)", "_allUsersMeta(filter: $f) { count }"), found);
    // What counts other rows is no total.
    for (list, meta) in [
        ("(page: $page)", "_allPostsMeta { count }"),
        ("(page: $page, filter: $f)", "_allUsersMeta { count }"),
        ("(page: $page, filter: $f)", "_allUsersMeta(filter: $g) { count }"),
        ("(page: $page, filter: {a: 1})", "_allUsersMeta(filter: {a: 2}) { count }"),
    ] {
        assert_eq!(total(list, meta), None, "{list} {meta}");
    }
}

#[test]
fn p6_the_first_page_is_that_of_the_variables_else_of_the_pagination() {
    let first = |pagination: Value, variables: Value| {
        let query = "query ($page: Int) { users(p: $page) { id } }";
        let config =
            json!({"query": query, "data_path": "data.users", "pagination": pagination, "variables": variables});
        plan(config).first_page()
    };
    assert_eq!(first(json!({"style": "page"}), json!({})), Some(1));
    assert_eq!(first(json!({"style": "page", "first_page": 0}), json!({})), Some(0));
    assert_eq!(first(json!({"style": "page"}), json!({"page": 0})), Some(0));
    assert_eq!(first(json!({"style": "offset", "variable": "page"}), json!({})), None);
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

//! What is found in a query before it is sent.

use super::selection::Argument;
use super::*;

fn problems(text: &str, name: Option<&str>) -> String {
    let problems = Query::parse(text, name).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn keys(selected: &[Selected]) -> Vec<&str> {
    selected.iter().map(|field| field.key.as_str()).collect()
}

#[test]
fn syntax_errors_say_line_and_column() {
    insta::assert_snapshot!(problems("query {\n  users {\n    id\n", None), @"
    query: line 4, column 1: expected `}`, found the end of the query
    ");
    insta::assert_snapshot!(problems("{ users(first: ) { id } }", None), @"
    query: line 1, column 16: expected a valid Value
    ");
    insta::assert_snapshot!(problems("SELECT * FROM users", None), @r#"
    query: line 1, column 1: expected definition
    query: line 1, column 8: Unexpected character "*"
    query: line 1, column 10: expected definition
    "#);
}

#[test]
fn only_queries_are_run() {
    insta::assert_snapshot!(problems("mutation { drop }", None), @"
    query: line 1, column 1: a mutation is not allowed: an extractor only reads (write a `query`)
    ");
    insta::assert_snapshot!(problems("query A { a }\nsubscription B { b }", Some("A")), @"
    query: line 2, column 1: a subscription is not allowed: an extractor only reads (write a `query`)
    ");
    insta::assert_snapshot!(problems("type A { b: Int }", None), @"
    query: line 1, column 1: expected a query, found a type definition
    ");
    insta::assert_snapshot!(problems("fragment F on A { b }", None), @"
    query: the query has no operation (write `query { ... }`)
    ");
}

#[test]
fn one_of_several_operations_is_chosen_by_name() {
    let text = "query Users { u } query Orders { o }";
    insta::assert_snapshot!(problems(text, None), @"
    operation_name: missing: the query has several operations (expected one of: Users, Orders)
    ");
    insta::assert_snapshot!(problems(text, Some("User")), @"
    operation_name: the query has no operation `User` (did you mean `Users`?)
    ");
    let query = Query::parse(text, Some("Orders")).unwrap();
    assert_eq!((query.name.as_deref(), keys(&query.selected)), (Some("Orders"), vec!["o"]));
}

#[test]
fn variables_are_known_with_type_default_and_use() {
    let text = "query ($first: Int = 50, $after: String, $org: ID!, $x: [Int!]! = [1]) @d(a: $x) {
        org(id: $org) { ...Members } }
        fragment Members on Org { members(first: $first, where: {after: [$after]}) { id } }";
    let query = Query::parse(text, None).unwrap();
    let facts: Vec<_> = query
        .variables
        .iter()
        .map(|v| {
            (v.name.as_str(), v.type_name.as_str(), v.required, v.default.as_ref().and_then(Given::number), v.used)
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("first", "Int", false, Some(50), true),
            ("after", "String", false, None, true),
            ("org", "ID!", true, None, true),
            ("x", "[Int!]!", false, None, true),
        ]
    );
    assert!(!Query::parse("query ($a: Int) { b }", None).unwrap().variables[0].used);
    insta::assert_snapshot!(problems("query ($a: Int, $a: Int) {\n  b(c: $a, d: $e)\n}", None), @"
    query: line 1, column 17: the variable `$a` is declared twice
    query: line 2, column 15: the variable `$e` is not declared (declare it: `query ($e: String)`)
    ");
}

#[test]
fn fragments_are_put_where_they_are_spread() {
    let text = "{ all: users(first: 5) { ...A ... on User { name } friends { nodes { id } } } }
        fragment A on User { id friends { pageInfo { hasNextPage } } }";
    let query = Query::parse(text, None).unwrap();
    let users = &query.selected[0];
    assert_eq!((users.key.as_str(), users.field.as_str(), users.is_limited()), ("all", "users", true));
    assert_eq!(keys(&users.inside), ["id", "friends", "name"]);
    let friends = Selected::at(&query.selected, &["all".to_owned(), "friends".to_owned()]).unwrap();
    assert_eq!(keys(&friends.inside), ["pageInfo", "nodes"]);
    insta::assert_snapshot!(problems("{ ...A } fragment A on Q { b { ...A ...C } }", None), @"
    query: line 1, column 35: the fragment `A` contains itself
    query: line 1, column 40: the fragment `C` is not defined
    ");
}

#[test]
fn an_argument_does_to_a_list_what_its_name_and_value_say() {
    let effects = |arguments: &str| {
        let query =
            Query::parse(&format!("query ($n: Int = 3, $o: Int) {{ users({arguments}) {{ id }} }}"), None).unwrap();
        let values = serde_json::Map::new();
        let effect = |argument: &Argument| argument.effect(&query.value(&argument.value, &values));
        query.selected[0].arguments.iter().filter_map(effect).collect::<Vec<_>>()
    };
    assert_eq!(effects("first: 5, last: $n, where: {first: 3}"), [Effect::Size, Effect::Size]);
    assert_eq!(effects("after: \"x\", start: 4, page: 0"), [Effect::Bound; 3]);
    assert_eq!(effects("skip: 4, offset: $n"), [Effect::Skip(Some(4)), Effect::Skip(Some(3))]);
    assert_eq!(effects("skip: \"4\", size: 4, top: 9"), [Effect::Skip(None), Effect::Size, Effect::Size]);
    assert_eq!(effects("pagination: {start: 2, limit: 3}"), [Effect::Bound, Effect::Size]);
    for nothing in ["first: null, offset: $o", "start: \"2024-01-01\"", "size: LARGE", "start: 0", "id: 7"] {
        assert!(effects(nothing).is_empty(), "{nothing}");
    }
}

use super::*;
use serde_json::{Map, json};

fn parameters(position: &PagePosition) -> Value {
    Value::Object(position.parameters().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn page(rows: usize, next: NextPage) -> PageSummary {
    PageSummary::new(rows, next)
}

fn cursor(value: Value) -> NextPage {
    NextPage::by_cursor(Some(&value))
}

#[test]
fn cursors_lead_from_page_to_page() {
    let mut position = PagePosition::cursor("v").with_size("n", 10);
    assert_eq!(parameters(&position), json!({"n": 10}));
    assert!(position.advance(&page(10, cursor(json!("a")))).unwrap());
    assert_eq!(parameters(&position), json!({"v": "a", "n": 10}));
    assert!(position.advance(&page(0, cursor(json!(7)))).unwrap());
    assert_eq!(parameters(&position)["v"], 7);
    let query: Vec<_> = position.query().collect();
    assert_eq!(query, [("v", "7".to_owned()), ("n", "10".to_owned())]);
    assert!(!position.advance(&page(1, NextPage::Last)).unwrap());
    for end in [json!(null), json!("")] {
        assert!(!position.advance(&page(1, cursor(end))).unwrap());
    }
}

#[test]
fn a_repeated_cursor_and_a_missing_one_are_errors() {
    let mut position = PagePosition::cursor("after");
    for next in ["a", "b"] {
        assert!(position.advance(&page(5, cursor(json!(next)))).unwrap());
    }
    let error = position.advance(&page(5, cursor(json!("a")))).unwrap_err();
    assert_eq!(error.message(), "pagination loop: the server returned the cursor after row 15 again");
    assert_eq!(error.code(), Code::UnexpectedResponse);
    assert_eq!(error.hint(), Some("check that the server uses the parameter `after`"));
    let error = position.advance(&page(5, NextPage::More)).unwrap_err();
    assert_eq!(error.message(), "the server reports another page, but returned no cursor for it");
}

#[test]
fn links_are_followed_until_there_is_none() {
    let url = |path: &str| Url::parse("https://api.example/").unwrap().join(path).unwrap();
    let mut position = PagePosition::link().with_size("per_page", 50);
    assert_eq!((position.url(), parameters(&position)), (None, json!({"per_page": 50})));
    assert!(position.advance(&page(50, NextPage::Link(url("2")))).unwrap());
    assert_eq!((position.url(), parameters(&position)), (Some(&url("2")), json!({})));
    assert!(!position.shrink(), "the server's link has the size in it");
    assert!(!position.clone().advance(&page(3, NextPage::by_link(None))).unwrap());
    let error = position.advance(&page(3, NextPage::Link(url("2")))).unwrap_err();
    assert_eq!(error.message(), "pagination loop: the server returned the link after row 53 again");
    assert_eq!(error.hint(), Some("check that the server moves on"));
}

#[test]
fn offsets_count_items_and_end_at_an_empty_page() {
    let mut position = PagePosition::offset("v").with_size("n", 10);
    for (items, offset) in [(10, 10), (4, 14), (10, 24)] {
        assert!(position.advance(&page(1, NextPage::Unknown).with_items(items)).unwrap());
        assert_eq!(parameters(&position)["v"], offset);
    }
    assert!(!position.advance(&page(0, NextPage::Unknown)).unwrap());
    let error = position.advance(&page(0, NextPage::More)).unwrap_err();
    assert_eq!(error.message(), "the server reports more pages after row 24, but returned an empty page");
    assert_eq!((error.code(), position.identical(2).code()), (Code::UnexpectedResponse, Code::UnexpectedResponse));
    assert_eq!(position.incomplete(25, 2).code(), Code::LedgerUnbalanced, "rows are missing");
}

#[test]
fn a_start_may_be_given() {
    let started = |position: PagePosition, start: Value| parameters(&position.starting_at(&start))["v"].clone();
    assert_eq!(started(PagePosition::cursor("v"), json!("x")), "x");
    assert_eq!(started(PagePosition::offset("v"), json!(25)), 25);
    assert_eq!(started(PagePosition::page("v"), json!(3)), 3);
    assert_eq!(started(PagePosition::page("v"), json!("3")), 1);
    assert_eq!(started(PagePosition::page("v").with_first_page(0), json!(null)), 0);
    assert_eq!(started(PagePosition::offset("v").with_first_page(7), json!(null)), 0);
}

#[test]
fn what_was_reached_counts_from_the_beginning_of_the_list() {
    let reached = |position: PagePosition, start: Value| {
        let mut position = position.starting_at(&start);
        position.advance(&page(10, NextPage::Last)).unwrap();
        position.reached()
    };
    assert_eq!(reached(PagePosition::single(), json!(null)), Some(10));
    assert_eq!(reached(PagePosition::cursor("v"), json!(null)), Some(10));
    assert_eq!(reached(PagePosition::cursor("v"), json!("x")), None);
    assert_eq!(reached(PagePosition::offset("v"), json!(25)), Some(35));
    assert_eq!(reached(PagePosition::page("v"), json!(3)), None);
    assert_eq!(reached(PagePosition::page("v"), json!(0)), Some(10), "pages count from 0");
    assert_eq!(reached(PagePosition::page("v").with_first_page(0), json!(1)), None, "page 0 was left out");
}

#[test]
fn items_that_are_left_out_besides_count_as_reached() {
    let reached = |position: PagePosition| {
        let mut position = position;
        position.advance(&page(10, NextPage::Last)).unwrap();
        position.reached()
    };
    assert_eq!(reached(PagePosition::single().with_skipped(Some(40))), Some(50));
    assert_eq!(reached(PagePosition::offset("v").starting_at(&json!(5)).with_skipped(Some(40))), Some(55));
    assert_eq!(reached(PagePosition::cursor("v").with_skipped(None)), None);
    assert_eq!(reached(PagePosition::cursor("v").starting_at(&json!("x")).with_skipped(Some(1))), None);
}

#[test]
fn a_limit_that_the_server_states_is_kept() {
    let mut position = PagePosition::cursor("v").with_size("n", 1000);
    assert!(position.shrink_to(100));
    for _ in 0..100 {
        assert!(position.advance(&page(100, cursor(json!(position.items)))).unwrap());
        assert_eq!(parameters(&position)["n"], 100);
    }
    assert!(!position.shrink_to(100) && !position.shrink_to(500) && !position.shrink_to(0));
    assert!(!PagePosition::cursor("v").shrink_to(5), "nothing sets the size");
    // Pages with numbers need one that begins at the same row.
    let mut position = PagePosition::page("v").with_size("n", 12);
    assert!(position.advance(&page(12, NextPage::Unknown)).unwrap() && position.shrink_to(5));
    assert_eq!(parameters(&position), json!({"v": 4, "n": 4}));
}

#[test]
fn a_smaller_page_begins_where_the_larger_one_would() {
    let mut position = PagePosition::page("v").with_size("n", 12);
    assert!(position.advance(&page(12, NextPage::Unknown)).unwrap());
    assert!(position.shrink());
    assert_eq!(parameters(&position), json!({"v": 3, "n": 6}));
    assert!(position.shrink() && position.shrink());
    assert_eq!(parameters(&position), json!({"v": 13, "n": 1}));
    assert!(!position.shrink());
}

#[test]
fn pages_that_were_not_full_cannot_be_counted_in_another_size() {
    let mut short = PagePosition::page("v").with_size("n", 10);
    assert!(short.advance(&page(9, NextPage::Unknown)).unwrap());
    assert!(!short.shrink());
    let mut offset = PagePosition::offset("v").with_size("n", 10);
    assert!(offset.advance(&page(9, NextPage::Unknown)).unwrap() && offset.shrink());
    assert_eq!(parameters(&offset), json!({"v": 9, "n": 5}));
}

#[test]
fn pages_grow_again_and_begin_where_the_smaller_one_would() {
    let mut position = PagePosition::page("v").with_size("n", 12);
    assert!(position.shrink() && position.shrink());
    let mut rows = 0;
    let mut sizes = vec![3];
    while sizes.len() < 3 {
        let size = position.page_size().unwrap();
        assert!(position.advance(&page(usize::try_from(size).unwrap(), NextPage::Unknown)).unwrap());
        rows += size;
        let number = parameters(&position)["v"].as_u64().unwrap();
        assert_eq!((number - 1) * position.page_size().unwrap(), rows, "no row is missed, none comes twice");
        if position.page_size() != sizes.last().copied() {
            sizes.extend(position.page_size());
        }
    }
    assert_eq!(sizes, [3, 6, 12]);
}

#[test]
fn a_single_page_is_the_last() {
    let mut position = PagePosition::single();
    assert_eq!(parameters(&position), json!({}));
    assert!(!position.advance(&page(5, NextPage::More)).unwrap() && !position.shrink());
}

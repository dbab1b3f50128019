//! Lists inside of rows that have pages of their own. These are not fetched: what is missing is reported, never cut silently.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use osiris_core::{Error, ExecutionContext, Result, Unit};
use osiris_http::Row;
use serde_json::{Value, json};

use crate::config::NestedPages;
use crate::query::Selected;

/// Rows with a list that has more pages. Its tag `path` says which.
pub(super) const ROWS_TRUNCATED: &str = "rows_truncated";

/// The lists inside of rows, as the query selects them.
#[derive(Debug, Clone, Default)]
pub(super) struct Nested {
    /// Those that say whether there is more.
    lists: Arc<Vec<NestedList>>,
    /// Those around the rows, such as the list of the rows itself when it is not paged.
    around: Arc<Vec<NestedList>>,
    /// Those of which only a part is requested, and that do not say whether there is more.
    unseen: Vec<String>,
}

#[derive(Debug)]
struct NestedList {
    /// The names from a row to the `pageInfo`, and the name of `hasNextPage` in it.
    names: Vec<String>,
    /// The list, for messages.
    path: String,
    rows: AtomicU64,
}

impl Nested {
    /// Those that a query for `all` selects, where `row` is what it selects of a row at `rows_at`. The one at `page_info` is the
    /// extraction's own.
    pub(super) fn of(all: &[Selected], row: &[Selected], rows_at: &[String], page_info: Option<&[String]>) -> Self {
        let below = |selected: &[Selected], from: &[String], unseen: &mut Vec<String>| {
            let mut lists = Vec::new();
            walk(selected, &mut Vec::new(), &mut lists, unseen);
            lists.retain(|list: &NestedList| Some([from, list.info()].concat().as_slice()) != page_info);
            lists
        };
        let mut unseen = Vec::new();
        let lists = below(row, rows_at, &mut unseen);
        let around = below(all, &["data".to_owned()], &mut Vec::new());
        Self { lists: Arc::new(lists), around: Arc::new(around), unseen }
    }

    /// Lists of which only a part is requested, and that do not say whether there is more.
    pub(super) fn unseen(&self) -> impl Iterator<Item = String> {
        self.unseen.iter().cloned()
    }

    /// Counts what is missing in a row.
    pub(super) fn look(&self, row: &Row<'_>) {
        for nested in self.lists.iter() {
            let Some((first, rest)) = nested.names.split_first() else { continue };
            let Some(cell) = row.get(first) else { continue };
            // Most rows have no more: a text without `true` need not be parsed.
            if cell.raw().contains("true")
                && serde_json::from_str(cell.raw()).is_ok_and(|value: Value| says_more(&value, rest))
            {
                nested.rows.fetch_add(1, Relaxed);
            }
        }
    }

    /// The same for what is around the rows. Rows are not in it, so that nothing is counted twice.
    pub(super) fn look_around(&self, envelope: &Value) {
        for list in self.around.iter() {
            if envelope.get("data").is_some_and(|data| says_more(data, &list.names)) {
                list.rows.fetch_add(1, Relaxed);
            }
        }
    }

    fn incomplete(&self) -> impl Iterator<Item = (&NestedList, u64)> {
        let all = self.around.iter().chain(self.lists.iter());
        all.map(|list| (list, list.rows.load(Relaxed))).filter(|(_, rows)| *rows > 0)
    }

    /// The first incomplete list as an error, with `nested_pages: fail`.
    ///
    /// # Errors
    /// `nested_pages: fail`, and there is one.
    pub(super) fn ensure_whole(&self, policy: NestedPages) -> Result<()> {
        match self.incomplete().next().filter(|_| policy == NestedPages::Fail) {
            None => Ok(()),
            Some((list, _)) => {
                Err(Error::integrity(format!("the list `{}` has more pages than were fetched", list.path))
                    .with_hint("paginate it (`pagination`), request more of it at once, or set `nested_pages: warn`"))
            }
        }
    }

    /// Reports what is missing, once, at the end.
    pub(super) fn report(&self, ctx: &ExecutionContext) {
        for (list, rows) in self.incomplete() {
            tracing::warn!(step = ctx.step_id(), path = list.path, rows, "a list has more pages than were fetched");
            ctx.log_metric(ROWS_TRUNCATED, rows, Unit::Rows, json!({"path": list.path}));
        }
    }
}

impl NestedList {
    /// The names that lead to the `pageInfo`.
    fn info(&self) -> &[String] {
        &self.names[..self.names.len() - 1]
    }
}

fn walk(selected: &[Selected], names: &mut Vec<String>, lists: &mut Vec<NestedList>, unseen: &mut Vec<String>) {
    for field in selected.iter().filter(|field| !field.inside.is_empty()) {
        names.push(field.key.clone());
        let info = field.inner("pageInfo");
        match info.and_then(|info| Some((info, info.inner("hasNextPage")?))) {
            Some((info, next)) => {
                let names: Vec<String> = names.iter().chain([&info.key, &next.key]).cloned().collect();
                lists.push(NestedList { path: names[..names.len() - 2].join("."), names, rows: AtomicU64::new(0) });
            }
            None if field.limited && has_rows(field) => unseen.push(names.join(".")),
            None => {}
        }
        walk(&field.inside, names, lists, unseen);
        names.pop();
    }
}

fn has_rows(field: &Selected) -> bool {
    ["nodes", "edges"].iter().any(|name| field.inner(name).is_some())
}

/// Whether `names` lead to a `true`, through every item of the lists on the path.
fn says_more(value: &Value, names: &[String]) -> bool {
    match (value, names.split_first()) {
        (Value::Array(items), _) => items.iter().any(|item| says_more(item, names)),
        (Value::Bool(more), None) => *more,
        (Value::Object(members), Some((first, rest))) => members.get(first).is_some_and(|inner| says_more(inner, rest)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    fn nested(query: &str) -> Nested {
        Nested::of(&[], &Query::parse(query, None).unwrap().selected, &[], None)
    }

    fn counts(nested: &Nested, row: &str) -> Vec<(String, u64)> {
        nested.look(&Row::new(row));
        nested.lists.iter().map(|list| (list.path.clone(), list.rows.load(Relaxed))).collect()
    }

    #[test]
    fn lists_with_more_pages_are_found_at_any_depth() {
        let query = "{ id tags { nodes pageInfo { hasNextPage } }
            issues { nodes { marks: labels(first: 2) { nodes pageInfo { more: hasNextPage } } } } }";
        let nested = nested(query);
        let row = r#"{"id": 1, "tags": {"nodes": [], "pageInfo": {"hasNextPage": false}}, "issues": {"nodes": [
            {"marks": {"nodes": [], "pageInfo": {"more": false}}}, {"marks": {"nodes": [], "pageInfo": {"more": true}}}]}}"#;
        let expected = [("tags".to_owned(), 0), ("issues.nodes.marks".to_owned(), 1)];
        assert_eq!(counts(&nested, row), expected);
        assert_eq!(counts(&nested, r#"{"id": 2, "tags": null}"#), expected);
        assert_eq!(nested.unseen().count(), 0);
    }

    #[test]
    fn the_list_of_the_rows_itself_is_looked_at_unless_it_is_paged() {
        let query = Query::parse("{ users { nodes { id } pageInfo { hasNextPage } } }", None).unwrap();
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (rows_at, own) = (names(&["data", "users", "nodes"]), names(&["data", "users", "pageInfo"]));
        for (own, found) in [(None, 1), (Some(own.as_slice()), 0)] {
            let nested = Nested::of(&query.selected, &[], &rows_at, own);
            nested.look_around(&json!({"data": {"users": {"nodes": [], "pageInfo": {"hasNextPage": true}}}}));
            assert_eq!(nested.incomplete().count(), found);
        }
    }

    #[test]
    fn a_part_of_a_list_that_does_not_say_whether_there_is_more_is_noted() {
        assert_eq!(nested("{ id tags(first: 5) { nodes } all { nodes } }").unseen().collect::<Vec<_>>(), ["tags"]);
    }
}

//! Lists inside of rows that are cut: by pages of their own, which are not fetched, or by a limit in the query. What is missing is
//! reported, never cut silently.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use osiris_core::{Code, Error, ExecutionContext, Result, Unit};
use osiris_http::Row;
use serde_json::{Value, json};

use super::count::whole_number;
use crate::config::NestedPages;
use crate::query::{Given, Selected};

/// Rows with a list that is cut. Its tag `path` says which.
pub(super) const ROWS_TRUNCATED: &str = "rows_truncated";

/// The members of a list's object that hold its items. Other names are known by what a server returns.
pub(super) const ITEMS: [&str; 4] = ["nodes", "edges", "items", "results"];

/// Members that tell something about a list without being items of it.
const FACTS: [&str; 6] = ["totalCount", "total_count", "total", "count", "pageInfo", "__typename"];

/// The lists inside of rows, as the query selects them.
#[derive(Debug, Clone, Default)]
pub(super) struct Nested {
    /// Those that show whether they are cut.
    lists: Arc<Vec<NestedList>>,
    /// Those around the rows, such as the list of the rows itself when it is not paged.
    around: Arc<Vec<NestedList>>,
    /// The list of the rows itself, where only the count next to it can show that it is cut.
    own: Option<Arc<NestedList>>,
    /// Those that may be cut without a sign of it.
    unseen: Vec<Unseen>,
    policy: NestedPages,
}

/// A list that may be cut without a sign of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unseen {
    pub(super) path: String,
    /// Whether the query requests only a part of it.
    pub(super) is_limited: bool,
    /// Whether it is known how many items are requested: a shorter list is whole.
    pub(super) has_limit: bool,
}

/// Where the list of the rows is, and the object that describes its next page, if it is paged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own<'a> {
    pub(super) rows_at: &'a [String],
    pub(super) page_info: Option<&'a [String]>,
}

#[derive(Debug)]
struct NestedList {
    /// The names from a row to the list or its object.
    names: Vec<String>,
    signs: Signs,
    rows: AtomicU64,
    /// Rows in which the signs that the query selects are missing, with `nested_pages: fail`.
    unclear: AtomicU64,
}

/// What shows that a list is cut.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Signs {
    /// The names of `pageInfo` and `hasNextPage` in it.
    next: Option<[String; 2]>,
    /// The name of the count of all items.
    count: Option<String>,
    /// How many items are requested.
    limit: Option<u64>,
    /// The name of the items in the list's object; none for a plain list.
    items: Option<String>,
}

impl Nested {
    /// Those that a query for `all` selects, where `row` is what it selects of a row. `limit` is how many items a limit allows, if
    /// that is known.
    pub(super) fn of(
        all: &[Selected],
        row: &[Selected],
        own: Own<'_>,
        policy: NestedPages,
        limit: &dyn Fn(&Given) -> Option<u64>,
    ) -> Self {
        let below = |selected: &[Selected], from: &[String], found: &mut Found<'_>| {
            found.walk(selected, &mut Vec::new());
            found
                .lists
                .retain(|list| list.info().is_none_or(|info| Some([from, &info].concat().as_slice()) != own.page_info));
        };
        let (mut inside, mut around) = (Found::new(limit), Found::new(limit));
        below(row, own.rows_at, &mut inside);
        below(all, &["data".to_owned()], &mut around);
        // The items of these are rows, or have rows in them: only what the server says of them counts.
        around.lists.retain(|list| list.signs.next.is_some());
        around.lists.iter_mut().for_each(|list| list.signs.count = None);
        let own = own.rows_at.get(1..own.rows_at.len().saturating_sub(1)).filter(|names| !names.is_empty());
        let own = own.filter(|names| !around.lists.iter().any(|list| list.names == **names));
        let own = own.map(|names| Arc::new(NestedList::new(names.to_vec(), Signs::default())));
        Self { lists: Arc::new(inside.lists), around: Arc::new(around.lists), own, unseen: inside.unseen, policy }
    }

    /// Lists that may be cut without a sign of it.
    pub(super) fn unseen(&self) -> impl Iterator<Item = &Unseen> {
        self.unseen.iter()
    }

    /// Counts the lists of a row that are cut.
    pub(super) fn look(&self, row: &Row<'_>) {
        for nested in self.lists.iter() {
            let Some((first, rest)) = nested.names.split_first() else { continue };
            let Some(cell) = row.get(first) else { continue };
            // Most rows have no more: a text without `true` need not be parsed where a flag is the only sign.
            if (nested.signs.count.is_some()
                || nested.signs.next.is_none()
                || self.policy == NestedPages::Fail
                || cell.raw().contains("true"))
                && let Ok(value) = serde_json::from_str::<Value>(cell.raw())
            {
                self.count(nested, &value, rest);
            }
        }
    }

    /// The same for what is around the rows. Rows are not in it, so that nothing is counted twice. Whether a list is cut that the rows,
    /// which `rows_at` leads to, are in.
    pub(super) fn look_around(&self, envelope: &Value, rows_at: &[String]) -> bool {
        let has_rows = |list: &NestedList| rows_at.get(1..).is_some_and(|names| names.starts_with(&list.names));
        // All of them are counted, whichever has the rows.
        let cut: Vec<_> = self.around.iter().filter(|list| self.count(list, &envelope["data"], &list.names)).collect();
        cut.into_iter().any(has_rows)
    }

    fn count(&self, list: &NestedList, value: &Value, names: &[String]) -> bool {
        let is_cut = list.signs.any(value, names, &Signs::cut);
        if is_cut {
            list.rows.fetch_add(1, Relaxed);
        } else if self.policy == NestedPages::Fail && list.signs.any(value, names, &Signs::is_unclear) {
            list.unclear.fetch_add(1, Relaxed);
        }
        is_cut
    }

    /// Counts the list of the rows itself, which has fewer items than the server counts.
    pub(super) fn count_own(&self) {
        if let Some(list) = &self.own {
            list.rows.fetch_add(1, Relaxed);
        }
    }

    fn all(&self) -> impl Iterator<Item = &NestedList> {
        self.own.as_deref().into_iter().chain(self.around.iter()).chain(self.lists.iter())
    }

    fn incomplete(&self) -> impl Iterator<Item = (&NestedList, u64)> {
        self.all().map(|list| (list, list.rows.load(Relaxed))).filter(|(_, rows)| *rows > 0)
    }

    /// The first list that is not whole, or does not show it, as an error.
    ///
    /// # Errors
    /// `nested_pages: fail`, and there is one.
    pub(super) fn ensure_whole(&self) -> Result<()> {
        if self.policy != NestedPages::Fail {
            return Ok(());
        }
        if let Some((list, _)) = self.incomplete().next() {
            return Err(Error::integrity(format!("the list `{}` {}", list.path(), list.signs.described()))
                .with_hint("paginate it (`pagination`), request more of it at once, or set `nested_pages: warn`"));
        }
        match self.all().find(|list| list.unclear.load(Relaxed) > 0) {
            None => Ok(()),
            Some(list) => Err(Error::integrity(format!(
                "the list `{}` may be incomplete: the response has no valid {}",
                list.path(),
                list.signs.named()
            ))
            .with_code(Code::UnexpectedResponse)
            .with_hint("select another sign that it is whole, or set `nested_pages: warn`")),
        }
    }

    /// Reports what is missing, once, at the end.
    pub(super) fn report(&self, ctx: &ExecutionContext) {
        for (list, rows) in self.incomplete() {
            let path = list.path();
            tracing::warn!(step = ctx.step_id(), path, rows, "a list {}", list.signs.described());
            ctx.log_metric(ROWS_TRUNCATED, rows, Unit::Rows, json!({"path": path}));
        }
    }
}

impl NestedList {
    fn new(names: Vec<String>, signs: Signs) -> Self {
        Self { names, signs, rows: AtomicU64::new(0), unclear: AtomicU64::new(0) }
    }

    /// The list, for messages.
    fn path(&self) -> String {
        self.names.join(".")
    }

    /// The names that lead to the `pageInfo`.
    fn info(&self) -> Option<Vec<String>> {
        let [info, _] = self.signs.next.as_ref()?;
        Some(self.names.iter().cloned().chain([info.clone()]).collect())
    }
}

impl Signs {
    /// Whether `is_so` holds for the list that `names` lead to, in any item of the lists on the way.
    fn any(&self, value: &Value, names: &[String], is_so: &impl Fn(&Self, &Value) -> bool) -> bool {
        match (value, names.split_first()) {
            (Value::Array(items), Some(_)) => items.iter().any(|item| self.any(item, names, is_so)),
            (Value::Object(members), Some((first, rest))) => {
                members.get(first).is_some_and(|inner| self.any(inner, rest, is_so))
            }
            (_, Some(_)) => false,
            // An object in a list, each with a list of its own.
            (Value::Array(items), None) if self.items.is_some() || self.next.is_some() => {
                items.iter().any(|item| self.any(item, names, is_so))
            }
            (list, None) => is_so(self, list),
        }
    }

    fn cut(&self, list: &Value) -> bool {
        let has_next = self.has_next(list) == Some(true);
        let items = self.length(list);
        // Where the items are null there are none.
        let is_short = self.counted(list).is_some_and(|count| items.unwrap_or(0) < count);
        let is_at_limit = !self.is_told(list) && self.limit.is_some_and(|limit| items >= Some(limit));
        has_next || is_short || is_at_limit
    }

    /// Whether nothing of what the query selects shows if it is whole. A list that is null is none.
    fn is_unclear(&self, list: &Value) -> bool {
        !list.is_null() && !self.is_told(list) && (self.limit.is_none() || self.length(list).is_none())
    }

    /// Whether the server says if it is whole.
    fn is_told(&self, list: &Value) -> bool {
        self.has_next(list).is_some() || self.counted(list).is_some()
    }

    fn has_next(&self, list: &Value) -> Option<bool> {
        let [info, next] = self.next.as_ref()?;
        list[info][next].as_bool()
    }

    fn counted(&self, list: &Value) -> Option<u64> {
        whole_number(&list[self.count.as_ref()?])
    }

    fn length(&self, list: &Value) -> Option<u64> {
        let items = self.items.as_ref().map_or(list, |name| &list[name]);
        items.as_array().map(|items| items.len() as u64)
    }

    /// What the query selects of them, for messages.
    fn named(&self) -> String {
        let next = self.next.as_ref().map(|[info, next]| format!("`{info}.{next}`"));
        let names: Vec<String> = next.into_iter().chain(self.count.iter().map(|name| format!("`{name}`"))).collect();
        names.join(" or ")
    }

    fn described(&self) -> &'static str {
        match (&self.next, &self.count, self.limit) {
            (Some(_), ..) => "has more pages than were fetched",
            (None, None, Some(_)) => "is as long as its limit in the query: there may be more",
            (None, ..) => "has fewer items than the server counts",
        }
    }
}

/// The lists of a query, while they are looked for.
struct Found<'a> {
    limit: &'a dyn Fn(&Given) -> Option<u64>,
    lists: Vec<NestedList>,
    unseen: Vec<Unseen>,
}

impl<'a> Found<'a> {
    fn new(limit: &'a dyn Fn(&Given) -> Option<u64>) -> Self {
        Self { limit, lists: Vec::new(), unseen: Vec::new() }
    }

    fn walk(&mut self, selected: &[Selected], names: &mut Vec<String>) {
        for field in selected.iter().filter(|field| !field.inside.is_empty()) {
            names.push(field.key.clone());
            self.list(field, names);
            self.walk(&field.inside, names);
            names.pop();
        }
    }

    /// A field that is a list, or the object of one: it has items, or a limit and members that may be those of items.
    fn list(&mut self, field: &Selected, names: &[String]) {
        let info = field.inner("pageInfo");
        let next = info.and_then(|info| Some([info.key.clone(), info.inner("hasNextPage")?.key.clone()]));
        let items = ITEMS.iter().find_map(|name| field.inner(name)).map(|items| items.key.clone());
        let count = ["totalCount", "total_count"].iter().find_map(|name| field.inner(name));
        let count = count.filter(|_| items.is_some()).map(|count| count.key.clone());
        let is_plain = field.inside.iter().any(|inner| !FACTS.contains(&inner.field.as_str()));
        let is_list = items.is_some() || (field.is_limited() && is_plain);
        let limit = field.limit().filter(|_| is_list).and_then(self.limit);
        if next.is_none() && count.is_none() && is_list {
            let (is_limited, has_limit) = (field.is_limited(), limit.is_some());
            self.unseen.push(Unseen { path: names.join("."), is_limited, has_limit });
        }
        if next.is_some() || count.is_some() || limit.is_some() {
            self.lists.push(NestedList::new(names.to_vec(), Signs { next, count, limit, items }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    fn nested(query: &str) -> Nested {
        Nested::of(&[], &Query::parse(query, None).unwrap().selected, Own::default(), NestedPages::Warn, &Given::number)
    }

    fn counts(nested: &Nested, row: &str) -> Vec<(String, u64)> {
        nested.look(&Row::new(row));
        nested.lists.iter().map(|list| (list.path(), list.rows.load(Relaxed))).collect()
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
        assert_eq!(nested.unseen().filter(|list| list.is_limited).count(), 0);
    }

    #[test]
    fn the_list_of_the_rows_itself_is_looked_at_unless_it_is_paged() {
        let query = Query::parse("{ users { nodes { id } pageInfo { hasNextPage } } }", None).unwrap();
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (rows_at, own) = (names(&["data", "users", "nodes"]), names(&["data", "users", "pageInfo"]));
        for (own, found) in [(None, 1), (Some(own.as_slice()), 0)] {
            let own = Own { rows_at: &rows_at, page_info: own };
            let nested = Nested::of(&query.selected, &[], own, NestedPages::Warn, &|_| None);
            let answer = json!({"data": {"users": {"nodes": [], "pageInfo": {"hasNextPage": true}}}});
            assert_eq!(nested.look_around(&answer, &rows_at), found == 1);
            assert_eq!(nested.incomplete().count(), found);
        }
    }

    #[test]
    fn p10b_a_count_and_a_limit_show_that_a_list_is_cut() {
        let nested = nested(
            "{ id tags { totalCount nodes { id } } lines(limit: 2) { id notes(first: 1) { edges { node { id } } } } }",
        );
        let row = |tags: u64, lines: Value| {
            json!({"id": 1, "tags": {"totalCount": tags, "nodes": [{"id": 1}, {"id": 2}]}, "lines": lines}).to_string()
        };
        let notes = |notes: usize| json!({"id": 1, "notes": {"edges": vec![json!({"node": {"id": 1}}); notes]}});
        let of = |row: &str| counts(&nested, row).into_iter().map(|(_, rows)| rows).collect::<Vec<_>>();
        assert_eq!(of(&row(2, json!([notes(0)]))), [0, 0, 0]);
        assert_eq!(of(&row(3, json!([]))), [1, 0, 0], "`totalCount` counts more");
        assert_eq!(of(&row(2, json!([notes(0), notes(0)]))), [1, 1, 0], "as long as its limit");
        assert_eq!(of(&row(2, json!([notes(1)]))), [1, 1, 1], "a list in an item of a list");
        assert_eq!(of(&row(0, Value::Null)), [1, 1, 1]);
    }

    #[test]
    fn a_list_that_does_not_show_whether_it_is_cut_is_noted() {
        let query = "query ($n: Int) { id tags(first: 5) { nodes } all { nodes } lines(limit: $n) { id } late(after: 1) { nodes }
            some(first: 3) { totalCount } counted(first: 3) { count nodes } sure { totalCount nodes } owner { id } }";
        let nested = nested(query);
        let unseen: Vec<_> =
            nested.unseen().map(|list| (list.path.as_str(), list.is_limited, list.has_limit)).collect();
        let expected = [
            ("tags", true, true),
            ("all", false, false),
            ("lines", true, false),
            ("late", true, false),
            ("counted", true, true),
        ];
        assert_eq!(unseen, expected);
    }
}

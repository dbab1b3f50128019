//! Where the rows of a response are. Plain paths are followed in the scan that reads the response; JSONPath with
//! filters, slices or searches (RFC 9535) finds the rows in a parsed tree, and then reads their text, so that numbers
//! stay exact.

use std::collections::BTreeMap;

use bytes::Bytes;
use osiris_core::{Error, Problem, Result};
use osiris_http::{Document, Page, RowPath};
use serde_json::Value;
use serde_json_path::{JsonPath, PathElement};

use super::names::leading_names;

/// Where the rows are.
#[derive(Debug, Clone)]
pub(crate) struct DataPath {
    text: String,
    kind: PathKind,
}

#[derive(Debug, Clone)]
enum PathKind {
    /// Names, indexes and `[*]`.
    Plain(RowPath),
    /// Anything else that RFC 9535 allows.
    Search { path: Box<JsonPath>, names_rows: bool },
}

/// A response whose rows are found.
#[derive(Debug)]
pub(crate) struct Found {
    document: Document,
    /// The response, for a search: the document then has the rows only.
    envelope: Option<Value>,
    whole: bool,
}

impl DataPath {
    /// Reads a path: dotted names, or JSONPath.
    ///
    /// # Errors
    /// When it is neither. The problem belongs to the field `data_path`.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let kind = match text.parse::<RowPath>() {
            Ok(path) => PathKind::Plain(path),
            Err(plain) => {
                let full = if text.starts_with('$') { text.to_owned() } else { format!("$.{text}") };
                let path = JsonPath::parse(&full).map_err(|error| {
                    let message = format!("invalid path `{text}`: {error}");
                    Problem::error("/data_path", message)
                        .with_hint(plain.hint().unwrap_or("write names with dots, or a JSONPath").to_owned())
                })?;
                let names_rows = full.ends_with("[*]") || full.ends_with(".*");
                PathKind::Search { path: Box::new(path), names_rows }
            }
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// The path as written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The names it begins with, and whether they are the whole path.
    pub(crate) fn names(&self) -> (Vec<String>, bool) {
        leading_names(&self.text)
    }

    /// Whether the names it begins with lead to all of the rows, as a list or one by one.
    pub(crate) fn leads_to_rows(&self) -> bool {
        let text = self.text.replace(".*", "[*]");
        let before = text.split("[*]").next().unwrap_or_default();
        matches!(self.kind, PathKind::Plain(_)) && leading_names(before).1
    }

    /// The names that lead from an item of the list to its row: `node` for `data.edges[*].node`, none for a plain list. `None` where
    /// an item may have more rows than one.
    pub(crate) fn below_items(&self) -> Option<Vec<String>> {
        let text = self.text.replace(".*", "[*]");
        let (_, below) = text.split_once("[*]").unwrap_or((&text, ""));
        let is_list = self.names().1 || below.starts_with('.') || text.ends_with("[*]");
        let (names, whole) = leading_names(below.trim_start_matches('.'));
        (is_list && whole && matches!(self.kind, PathKind::Plain(_))).then_some(names)
    }

    /// Whether each item of a list is one row, which an offset needs.
    pub(crate) fn counts_items(&self) -> bool {
        matches!(self.kind, PathKind::Plain(_)) && self.text.matches('*').count() <= 1
    }

    /// How many of the first `most` items have no row in the lists that the path leads through, and the number of the first one, from 0:
    /// they are null, or lack what the path names next. An item that is null where the path ends is a row of its own. `envelope` is the
    /// response without its rows.
    pub(crate) fn null_items(&self, envelope: &Value, most: usize) -> Option<(u64, usize)> {
        if !matches!(self.kind, PathKind::Plain(_)) {
            return None;
        }
        let parts = self.text.replace(".*", "[*]");
        let parts: Vec<Vec<String>> = parts
            .split("[*]")
            .map_while(|part| Some(leading_names(part.trim_start_matches('.'))).filter(|(_, whole)| *whole))
            .map(|(names, _)| names)
            .collect();
        let mut found = None;
        null_items(envelope, &parts, most, &mut found);
        found
    }

    /// Finds the rows of a response.
    ///
    /// # Errors
    /// A validation error for invalid JSON; a network error for a truncated response.
    pub(crate) fn find(&self, page: &Page) -> Result<Found> {
        let (path, names_rows) = match &self.kind {
            PathKind::Plain(path) => {
                let document = page.document(path)?;
                return Ok(Found { document, envelope: None, whole: self.names().1 });
            }
            PathKind::Search { path, names_rows } => (path, *names_rows),
        };
        search(path, names_rows, page.json()?, page.body())
    }
}

fn null_items(value: &Value, parts: &[Vec<String>], most: usize, found: &mut Option<(u64, usize)>) {
    let Some((names, rest)) = parts.split_first().filter(|(_, rest)| !rest.is_empty()) else { return };
    let list = at(value, names).and_then(Value::as_array);
    for (index, item) in list.into_iter().flatten().enumerate().take(most) {
        if item.is_null() || lacks(item, rest) {
            *found = found.map_or(Some((1, index)), |(count, first)| Some((count + 1, first)));
        }
        null_items(item, rest, most, found);
    }
}

/// Whether an item has nothing where the names of `parts` lead to next. Null there is a row of its own, or a list without items.
fn lacks(item: &Value, parts: &[Vec<String>]) -> bool {
    parts.first().is_some_and(|names| at(item, names).is_none())
}

fn at<'a>(value: &'a Value, names: &[String]) -> Option<&'a Value> {
    names.iter().try_fold(value, |value, name| value.get(name))
}

/// The rows that `path` leads to, in its order.
fn search(path: &JsonPath, names_rows: bool, answer: Value, body: &Bytes) -> Result<Found> {
    let (mut tree, mut order) = (PathTree::default(), Vec::new());
    for node in path.query_located(&answer).iter() {
        let steps: Vec<Step> = node.location().iter().map(Step::from).collect();
        tree.insert(&steps);
        order.push(steps);
    }
    let mut texts = BTreeMap::new();
    tree.read(body, &mut Vec::new(), &mut texts)?;
    let document = document(order.iter().filter_map(|steps| texts.get(steps)), names_rows)?;
    Ok(Found { document, envelope: Some(answer), whole: false })
}

impl Found {
    /// The rows.
    pub(crate) fn document(&self) -> &Document {
        &self.document
    }

    pub(crate) fn into_document(self) -> Document {
        self.document
    }

    /// The response, in which rows may be missing.
    pub(crate) fn envelope(&self) -> &Value {
        self.envelope.as_ref().unwrap_or_else(|| self.document.envelope())
    }

    /// The value at `names`, next to the rows or inside of the one row that there is.
    pub(crate) fn value(&self, names: &[String], rows_at: &[String]) -> Option<Value> {
        if let (true, 1, Some(inside)) = (self.whole, self.document.row_count(), names.strip_prefix(rows_at)) {
            let mut cell = self.document.row(0)?;
            for name in inside {
                cell = cell.get(name)?.as_row();
            }
            return serde_json::from_str(cell.as_str()).ok();
        }
        names.iter().try_fold(self.envelope(), |value, name| value.get(name)).cloned()
    }
}

/// One step of a path in a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Name(String),
    Index(usize),
}

impl From<&PathElement<'_>> for Step {
    fn from(element: &PathElement<'_>) -> Self {
        match element {
            PathElement::Name(name) => Self::Name((*name).to_owned()),
            PathElement::Index(index) => Self::Index(*index),
        }
    }
}

/// The paths to read, as a tree: each level of the document is read once.
#[derive(Debug, Default)]
struct PathTree {
    wanted: bool,
    below: BTreeMap<Step, PathTree>,
}

impl PathTree {
    fn insert(&mut self, steps: &[Step]) {
        match steps.split_first() {
            None => self.wanted = true,
            Some((first, rest)) => self.below.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Collects the text of every wanted path below `text`.
    fn read(&self, text: &Bytes, steps: &mut Vec<Step>, texts: &mut BTreeMap<Vec<Step>, Bytes>) -> Result<()> {
        if self.wanted {
            texts.insert(steps.clone(), text.clone());
        }
        if self.below.is_empty() {
            return Ok(());
        }
        let document = Document::parse(text.clone(), &RowPath::root())?;
        let is_list = text.trim_ascii_start().first() == Some(&b'[');
        for (step, tree) in &self.below {
            let inside = match step {
                Step::Index(index) if is_list => document.row(*index).map(|row| row.as_str()),
                Step::Name(name) if !is_list => document.row(0).and_then(|row| row.get(name)).map(|cell| cell.raw()),
                _ => None,
            };
            let inside = inside.ok_or_else(|| Error::unknown("a path in the response was not found again"))?;
            steps.push(step.clone());
            tree.read(&text.slice_ref(inside.as_bytes()), steps, texts)?;
            steps.pop();
        }
        Ok(())
    }
}

/// The rows of all paths as one document. A list is its items, unless the path names the items.
fn document<'a>(texts: impl Iterator<Item = &'a Bytes>, names_rows: bool) -> Result<Document> {
    let mut all = b"[".to_vec();
    for text in texts {
        let text = text.trim_ascii();
        let inside = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).filter(|_| !names_rows);
        let rows = inside.unwrap_or(text).trim_ascii();
        if rows.is_empty() {
            continue;
        }
        if all.len() > 1 {
            all.push(b',');
        }
        all.extend_from_slice(rows);
    }
    all.push(b']');
    Document::parse(all.into(), &RowPath::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(body: &str, path: &str) -> Vec<String> {
        let path = DataPath::parse(path).unwrap();
        let PathKind::Search { path, names_rows } = path.kind else { panic!("not a search") };
        let answer = serde_json::from_str(body).unwrap();
        let found = search(&path, names_rows, answer, &Bytes::copy_from_slice(body.as_bytes())).unwrap();
        found.document().rows().map(|row| row.as_str().to_owned()).collect()
    }

    #[test]
    fn filters_slices_and_searches_find_rows_whose_text_is_unchanged() {
        let body = r#"{"data": {"a": [ {"n": 1.10, "big": 12345678901234567890123}, {"n": 2, "b": [ {"n":3} ]} ]}}"#;
        assert_eq!(rows(body, "data.a[?@.n < 2]"), [r#"{"n": 1.10, "big": 12345678901234567890123}"#]);
        assert_eq!(rows(body, "$.data.a[1:]"), [r#"{"n": 2, "b": [ {"n":3} ]}"#]);
        assert_eq!(rows(body, "$..b"), [r#"{"n":3}"#]);
        assert_eq!(rows(body, "$..n"), ["1.10", "2", "3"]);
        assert_eq!(rows(body, "data.a[?@.n > 7]"), [""; 0]);
    }

    #[test]
    fn items_that_are_null_on_the_way_to_the_rows_are_counted() {
        let envelope = serde_json::json!({"data": {"a": [{"b": [{"c": {}}, null]}, null, {"b": []}, null]}});
        let found = |path: &str| DataPath::parse(path).unwrap().null_items(&envelope, usize::MAX);
        assert_eq!(found("data.a[*].b"), Some((2, 1)));
        assert_eq!(found("$.data.a[*].b[*].c"), Some((3, 1)));
        assert_eq!(found("data.a[*].b.*.c"), Some((3, 1)));
        assert_eq!((found("data.a"), found("$..b"), found("data.a[0].b")), (None, None, None));
        assert_eq!(DataPath::parse("data.a[*].b").unwrap().null_items(&envelope, 2), Some((1, 1)));
    }

    #[test]
    fn items_without_what_the_path_names_next_have_no_row() {
        let found = |list: Value, path: &str| {
            DataPath::parse(path).unwrap().null_items(&serde_json::json!({"a": list}), usize::MAX)
        };
        let list = serde_json::json!([{"b": {"c": {}}}, {"b": {}}, {"b": null}, {}, {"b": {"c": null}}]);
        assert_eq!(found(list, "a[*].b.c"), Some((3, 1)), "a null at the end of the path is a row of its own");
        let list = serde_json::json!([{"b": []}, {"b": null}, {}]);
        assert_eq!(found(list.clone(), "a[*].b[*]"), Some((1, 2)), "a list that is null has no items");
        assert_eq!(found(list, "a[*]"), None);
    }

    #[test]
    fn the_names_lead_to_the_rows_or_not() {
        let leads = |path: &str| DataPath::parse(path).unwrap().leads_to_rows();
        for path in ["data.a", "$.data.a[*]", "data.a[*].b", "data.a.*.b"] {
            assert!(leads(path), "{path}");
        }
        for path in ["data.a[0].b", "$..a", "data.a[?@.b]", "data['a']"] {
            assert!(!leads(path), "{path}");
        }
    }

    #[test]
    fn an_invalid_path_names_the_position() {
        let problem = DataPath::parse("data.a[?@.n <]").unwrap_err();
        assert!(problem.message.contains("invalid path `data.a[?@.n <]`: at position"), "{problem}");
        assert!(problem.hint.is_some());
    }

    #[test]
    fn the_row_of_an_item_is_found_where_there_is_one() {
        let below = |path: &str| DataPath::parse(path).unwrap().below_items().map(|names| names.join("."));
        assert_eq!(below("$.data.edges[*].node").as_deref(), Some("node"));
        assert_eq!((below("data.a").as_deref(), below("data.a[*]").as_deref()), (Some(""), Some("")));
        assert_eq!((below("data.a[*].b[*].c"), below("data.a[0].b"), below("data.a[?@.b]")), (None, None, None));
    }

    #[test]
    fn only_one_row_for_each_item_can_be_counted() {
        for (path, counts) in
            [("data.a", true), ("data.a[*].b", true), ("data.a[*].b[*].c", false), ("data.a[?@.b]", false)]
        {
            assert_eq!(DataPath::parse(path).unwrap().counts_items(), counts, "{path}");
        }
    }
}

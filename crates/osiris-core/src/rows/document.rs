//! A complete document: one scan finds its rows and the envelope around them. Rows are not copied.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;

use super::cursor::{Cursor, ParseError, kind};
use super::path::{RowPath, Segment};
use crate::{Error, Result};

/// A JSON document, split into its rows and its envelope.
#[derive(Debug, Clone)]
pub struct Document {
    body: Bytes,
    rows: Vec<Range<usize>>,
    envelope: Value,
    matched: bool,
    stopped_at: String,
}

impl Document {
    /// Finds the rows at `path`.
    ///
    /// # Errors
    /// A network error, which is retryable, when the document is truncated; a validation error when it is not JSON.
    pub fn parse(body: Bytes, path: &RowPath) -> Result<Self> {
        let text = std::str::from_utf8(&body)
            .map_err(|error| Error::validation("the response is not valid UTF-8").with_source(error))?;
        let mut walk = Walk::over(text, path);
        walk.value(&path.0)?;
        walk.cursor.end()?;
        let Walk { rows, envelope, matched, stopped_at, .. } = walk;
        let envelope = serde_json::from_str(&envelope)
            .map_err(|error| Error::validation("the response is not valid JSON").with_source(error))?;
        Ok(Self { body, rows, envelope, matched, stopped_at })
    }

    /// The document without its rows: an array of them is empty here, a single one is `{}`.
    pub fn envelope(&self) -> &Value {
        &self.envelope
    }

    /// Whether the path matched: rows or an empty array. Null is not a match: look for it in the envelope.
    pub fn matched(&self) -> bool {
        self.matched
    }

    /// Where the path stopped matching, and what was there: ``$.data has no member `itms`; it has: items``. Names of
    /// members only, no values.
    pub fn stopped_at(&self) -> &str {
        &self.stopped_at
    }

    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        // The text was checked before; checking it again costs far less than reading the rows.
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        self.rows.iter().filter_map(move |range| text.get(range.clone()).map(Row))
    }

    /// One row.
    pub fn row(&self, index: usize) -> Option<Row<'_>> {
        let bytes = self.body.get(self.rows.get(index)?.clone())?;
        std::str::from_utf8(bytes).ok().map(Row)
    }

    /// A hash of all rows: the same for documents with the same rows, and for the life of this process only.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.rows().for_each(|row| row.as_str().hash(&mut hasher));
        hasher.finish()
    }

    /// The last row, whose key is the cursor of many APIs.
    pub fn last_row(&self) -> Option<Row<'_>> {
        self.row(self.rows.len().checked_sub(1)?)
    }
}

/// The text of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a>(pub(super) &'a str);

impl<'a> Row<'a> {
    /// A row from the text of a JSON value.
    pub fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// Its JSON.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// A member of a row that is an object; `None` when it has no such member, or is not an object.
    pub fn get(&self, name: &str) -> Option<Cell<'a>> {
        let mut cursor = Cursor::new(self.0);
        cursor.expect(b'{').ok()?;
        if cursor.eat(b'}').ok()? {
            return None;
        }
        loop {
            let (key, _) = cursor.key().ok()?.unescaped();
            let value = cursor.skip().ok()?;
            if key == name {
                return Some(Cell(value));
            }
            if !cursor.another(b'}').ok()? {
                return None;
            }
        }
    }

    /// An item of a row that is an array.
    pub fn at(&self, index: usize) -> Option<Cell<'a>> {
        let mut cursor = Cursor::new(self.0);
        cursor.expect(b'[').ok()?;
        if cursor.eat(b']').ok()? {
            return None;
        }
        for _ in 0..index {
            cursor.skip().ok()?;
            cursor.another(b']').ok()?.then_some(())?;
        }
        cursor.skip().ok().map(Cell)
    }
}

/// The text of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell<'a>(&'a str);

impl<'a> Cell<'a> {
    /// Its JSON.
    pub fn raw(&self) -> &'a str {
        self.0
    }

    /// The content of a string; a number, a boolean or nested JSON as written; `None` for null.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self.0.as_bytes().first() {
            Some(b'"') => Cursor::new(self.0).string().ok().map(|text| text.unescaped().0),
            Some(b'n') | None => None,
            Some(_) => Some(Cow::Borrowed(self.0)),
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// The value as a row, for access to its members.
    pub fn as_row(&self) -> Row<'a> {
        Row(self.0)
    }
}

/// The scan of a document.
struct Walk<'a> {
    cursor: Cursor<'a>,
    names_rows: bool,
    /// Whether the path leads through every item of an array: then a null at its end is a row, such as a node that failed.
    many: bool,
    rows: Vec<Range<usize>>,
    envelope: String,
    matched: bool,
    /// The path so far, for messages.
    at: String,
    stopped_at: String,
}

impl<'a> Walk<'a> {
    fn over(text: &'a str, path: &RowPath) -> Self {
        Self {
            cursor: Cursor::new(text),
            names_rows: path.names_rows(),
            many: path.0.contains(&Segment::Each),
            rows: Vec::new(),
            envelope: String::new(),
            matched: false,
            at: "$".to_owned(),
            stopped_at: String::new(),
        }
    }

    fn value(&mut self, path: &[Segment]) -> Result<(), ParseError> {
        let next = self.cursor.peek()?;
        match (path.split_first(), next) {
            (None, _) => self.target(next),
            (Some((Segment::Name(name), rest)), b'{') => self.member(name, rest),
            (Some((Segment::Each, rest)), b'[') => self.items(None, rest),
            (Some((Segment::Index(index), rest)), b'[') => self.items(Some(*index), rest),
            (Some((segment, _)), _) => {
                self.stop(&format!("is {}, which has no `{segment}`", kind(next)));
                self.copy()
            }
        }
    }

    /// The rows themselves, or the one row.
    fn target(&mut self, next: u8) -> Result<(), ParseError> {
        if next == b'n' && !self.many {
            self.stop("is null");
            return self.copy();
        }
        self.matched = true;
        if next == b'[' && !self.names_rows {
            self.cursor.expect(b'[')?;
            self.envelope.push_str("[]");
            if self.cursor.eat(b']')? {
                return Ok(());
            }
            loop {
                self.row()?;
                if !self.cursor.another(b']')? {
                    return Ok(());
                }
            }
        }
        self.envelope.push_str("{}");
        self.row()
    }

    fn row(&mut self) -> Result<(), ParseError> {
        let row = self.cursor.skip()?;
        let end = self.cursor.position();
        self.rows.push(end - row.len()..end);
        Ok(())
    }

    fn copy(&mut self) -> Result<(), ParseError> {
        let value = self.cursor.skip()?;
        self.envelope.push_str(value);
        Ok(())
    }

    fn member(&mut self, name: &str, rest: &[Segment]) -> Result<(), ParseError> {
        self.cursor.expect(b'{')?;
        self.envelope.push('{');
        let mut seen = Vec::new();
        let mut found = false;
        if !self.cursor.eat(b'}')? {
            loop {
                self.cursor.peek()?;
                let start = self.cursor.position();
                let (key, _) = self.cursor.key()?.unescaped();
                self.envelope.push_str(self.cursor.since(start));
                if key == name && !found {
                    found = true;
                    self.deeper(&Segment::Name(name.to_owned()), rest)?;
                } else {
                    seen.push(key);
                    self.copy()?;
                }
                if !self.cursor.another(b'}')? {
                    break;
                }
                self.envelope.push(',');
            }
        }
        self.envelope.push('}');
        if !found {
            let seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") };
            self.stop(&format!("has no member `{name}`; it has: {seen}"));
        }
        Ok(())
    }

    fn items(&mut self, only: Option<usize>, rest: &[Segment]) -> Result<(), ParseError> {
        self.cursor.expect(b'[')?;
        self.envelope.push('[');
        let mut count = 0;
        if !self.cursor.eat(b']')? {
            loop {
                if only.is_none_or(|only| only == count) {
                    self.deeper(&Segment::Index(count), rest)?;
                } else {
                    self.copy()?;
                }
                count += 1;
                if !self.cursor.another(b']')? {
                    break;
                }
                self.envelope.push(',');
            }
        }
        self.envelope.push(']');
        match only {
            // An empty array matches: there are no rows.
            None => self.matched |= count == 0,
            Some(only) if only >= count => self.stop(&format!("has {count} items, so there is no `[{only}]`")),
            Some(_) => {}
        }
        Ok(())
    }

    fn deeper(&mut self, segment: &Segment, rest: &[Segment]) -> Result<(), ParseError> {
        let length = self.at.len();
        self.at.push_str(&segment.to_string());
        let walked = self.value(rest);
        self.at.truncate(length);
        walked
    }

    fn stop(&mut self, why: &str) {
        if self.stopped_at.is_empty() {
            self.stopped_at = format!("{} {why}", self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use serde_json::json;

    fn read(json: &str, path: &str) -> Document {
        Document::parse(Bytes::copy_from_slice(json.as_bytes()), &path.parse().unwrap()).unwrap()
    }

    fn rows(document: &Document) -> Vec<&str> {
        document.rows().map(|row| row.as_str()).collect()
    }

    #[test]
    fn rows_are_found_and_the_rest_is_the_envelope() {
        let page = read(r#" {"columns": ["a"], "results": [ [1] , [2.50] ], "hasMore": true} "#, "results");
        assert_eq!(rows(&page), ["[1]", "[2.50]"]);
        assert_eq!(page.envelope(), &json!({"columns": ["a"], "results": [], "hasMore": true}));
        assert_eq!(page.last_row().unwrap().at(0).unwrap().raw(), "2.50");
        assert_eq!(rows(&read("[{\"a\":1}]", "")), ["{\"a\":1}"]);
        assert_eq!(rows(&read("{\"a\":1}", "")), ["{\"a\":1}"]);
    }

    #[test]
    fn a_path_leads_through_every_item() {
        let text = r#"{"data": {"edges": [{"cursor": "x", "node": {"id": 1}}, {"cursor": "y", "node": {"id": 2}}]}}"#;
        let page = read(text, "$.data.edges[*].node");
        assert_eq!(rows(&page), [r#"{"id": 1}"#, r#"{"id": 2}"#]);
        assert_eq!(page.envelope()["data"]["edges"][1], json!({"cursor": "y", "node": {}}));
        let failed = r#"{"edges": [{"node": null}, {"node": {"id": 2}}]}"#;
        assert_eq!(rows(&read(failed, "edges[*].node")), ["null", r#"{"id": 2}"#]);
        assert_eq!(rows(&read("[[1,2],[3]]", "[*]")), ["[1,2]", "[3]"]);
        assert_eq!(rows(&read("[[1,2],[3]]", "[0]")), ["1", "2"]);
    }

    #[test]
    fn an_empty_array_matches_and_a_path_that_does_not_is_reported() {
        for (text, path) in [(r#"{"a": []}"#, "a"), (r#"{"a": []}"#, "a[*].b")] {
            let page = read(text, path);
            assert!(page.matched() && page.row_count() == 0, "{text}");
        }
        for (text, path, said) in [
            (r#"{"data": {"items": [], "n": 1}}"#, "data.itms", "$.data has no member `itms`; it has: items, n"),
            (r#"{"data": null}"#, "data.items", "$.data is null, which has no `.items`"),
            (r#"{"data": [1]}"#, "data.items", "$.data is a list, which has no `.items`"),
            (r#"{"data": {"items": null}}"#, "data.items", "$.data.items is null"),
            (r#"{"data": [1]}"#, "data[3]", "$.data has 1 items, so there is no `[3]`"),
        ] {
            let page = read(text, path);
            assert!(!page.matched());
            assert_eq!(page.stopped_at(), said);
        }
    }

    #[test]
    fn a_truncated_document_is_retryable_and_an_invalid_one_is_not() {
        let whole = r#"{"results": [{"a": "x"}, {"a": 2}], "more": false}"#;
        let path = RowPath::names(["results"]);
        for end in 0..whole.len() {
            let error = Document::parse(Bytes::copy_from_slice(&whole.as_bytes()[..end]), &path).unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Network, true), "{}", &whole[..end]);
        }
        for wrong in ["{\"results\": [1 2]}", "[1] x", "{\"results\": [{]}}", "\u{1}"] {
            let error = Document::parse(wrong.into(), &path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation, "{wrong}");
        }
        let deep = format!("{{\"results\": [{}{}]}}", "[".repeat(200), "]".repeat(200));
        let error = Document::parse(deep.into(), &path).unwrap_err();
        assert_eq!(error.message(), "the JSON of the response is nested deeper than 128 levels");
    }

    #[test]
    fn cells_are_exact_text() {
        let row = Row::new(r#"{"a\u0062": "x\ny", "n": 12345678901234567890.10, "o": {"k": [1]}, "z": null}"#);
        assert_eq!(row.get("ab").unwrap().text().unwrap(), "x\ny");
        assert_eq!(row.get("n").unwrap().text().unwrap(), "12345678901234567890.10");
        assert_eq!(row.get("o").unwrap().as_row().get("k").unwrap().raw(), "[1]");
        assert!(row.get("z").unwrap().is_null());
        assert_eq!(row.get("missing"), None);
        assert_eq!(Row::new("[1]").at(1), None);
    }
}

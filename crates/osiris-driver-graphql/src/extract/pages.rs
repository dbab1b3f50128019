//! From one page to the next: where an extraction is, what the answer says of what comes, and when a page is asked for in a smaller
//! size. No I/O.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use osiris_core::{Error, Result};
use serde_json::{Map, Value};

use crate::config::{PageSize, PageStyle, Paging};

/// Where an extraction is.
#[derive(Debug)]
pub(super) struct Position {
    variable: String,
    size: Option<PageSize>,
    at: At,
    /// Rows that came so far.
    rows: u64,
    /// Whether every page had as many rows as were asked for; nothing before the first one.
    full: Option<bool>,
}

#[derive(Debug)]
enum At {
    /// The cursor of the page, and a fingerprint of each before it.
    Cursor(Option<Value>, HashSet<u64>),
    Offset(u64),
    /// The number of the first page that there is, 0 or 1, and the current one.
    Page(u64, u64),
}

/// What an answer tells of the next page.
#[derive(Debug, Default)]
pub(super) struct PageInfo {
    /// Whether there is one, where it says so.
    pub(super) has_next: Option<bool>,
    /// Its cursor.
    pub(super) cursor: Option<Value>,
    /// What stands where these were expected, for messages.
    pub(super) seen: String,
}

impl Position {
    /// The first page. `given` is the variable's value in the configuration, `default` the one in the query.
    pub(super) fn first(paging: &Paging, given: Option<&Value>, default: Option<u64>) -> Self {
        let number = |usual: u64| given.and_then(Value::as_u64).or(default).unwrap_or(usual);
        let at = match paging.style {
            PageStyle::Cursor => At::Cursor(given.filter(|cursor| !cursor.is_null()).cloned(), HashSet::new()),
            PageStyle::Offset => At::Offset(number(0)),
            PageStyle::Page => At::Page(number(1).min(1), number(1)),
        };
        let (variable, size) = (paging.variable.clone(), paging.size.clone());
        Self { variable, size, at, rows: 0, full: None }
    }

    /// Puts the variables of this page among `variables`.
    pub(super) fn fill(&self, variables: &mut Map<String, Value>) {
        let value = match &self.at {
            At::Cursor(None, _) => None,
            At::Cursor(Some(cursor), _) => Some(cursor.clone()),
            At::Offset(offset) => Some(Value::from(*offset)),
            At::Page(_, page) => Some(Value::from(*page)),
        };
        if let Some(value) = value {
            variables.insert(self.variable.clone(), value);
        }
        if let Some(size) = &self.size {
            variables.insert(size.variable.clone(), Value::from(size.rows));
        }
    }

    /// Asks for half as many rows. Whether that is possible without missing any.
    pub(super) fn halve(&mut self) -> bool {
        let Some(size) = self.size.as_mut().filter(|size| size.rows > 1) else { return false };
        let At::Page(first, page) = &mut self.at else {
            size.rows /= 2;
            return true;
        };
        // Page 3 of 100 rows is page 5 of 50: only a divisor has a page that begins at the same row.
        let half = size.rows / 2;
        let Some(smaller) = (1..=half).rev().find(|smaller| size.rows.is_multiple_of(*smaller)) else { return false };
        let before = *page - *first;
        if before > 0 && self.full != Some(true) {
            return false;
        }
        *page = *first + before * (size.rows / smaller);
        size.rows = smaller;
        true
    }

    /// How many rows a page is asked to have.
    pub(super) fn page_size(&self) -> Option<u64> {
        self.size.as_ref().map(|size| size.rows)
    }

    /// Goes on to the next page; `false` when `rows` rows were the last ones.
    ///
    /// # Errors
    /// A cursor that comes again or does not come at all, an empty page that is not the last.
    pub(super) fn advance(&mut self, info: PageInfo, rows: u64) -> Result<bool> {
        self.rows += rows;
        let full = self.size.as_ref().is_some_and(|size| size.rows == rows);
        self.full = Some(full && self.full != Some(false));
        match &mut self.at {
            At::Cursor(current, before) => {
                let Some(next) = next_cursor(info)? else { return Ok(false) };
                let mut hasher = DefaultHasher::new();
                current.as_ref().map(Value::to_string).hash(&mut hasher);
                before.insert(hasher.finish());
                let mut hasher = DefaultHasher::new();
                Some(next.to_string()).hash(&mut hasher);
                if before.contains(&hasher.finish()) {
                    return Err(repeated(self.rows, &self.variable));
                }
                *current = Some(next);
                return Ok(true);
            }
            _ if info.has_next == Some(false) => return Ok(false),
            _ if rows == 0 => {
                return match info.has_next {
                    Some(_) => Err(Error::integrity(format!(
                        "the server says that there are more pages after row {}, and sends one without rows",
                        self.rows
                    ))
                    .with_hint(format!("check how the query uses `${}`, and `pagination.style`", self.variable))),
                    None => Ok(false),
                };
            }
            At::Offset(offset) => *offset += rows,
            At::Page(_, page) => *page += 1,
        }
        Ok(true)
    }
}

/// The cursor to go on with; nothing at the end.
fn next_cursor(info: PageInfo) -> Result<Option<Value>> {
    let cursor = info.cursor.filter(|cursor| !cursor.is_null() && cursor.as_str() != Some(""));
    match (info.has_next, cursor) {
        (Some(false), _) | (None, None) => Ok(None),
        (_, Some(cursor)) => Ok(Some(cursor)),
        (Some(true), None) => Err(Error::validation(format!(
            "the server says that there is a next page, and gives no cursor for it: {}",
            info.seen
        ))
        .with_hint(
            "select the cursor, `pageInfo { hasNextPage endCursor }`, or name its field: `pagination.cursor_field`",
        )),
    }
}

fn repeated(rows: u64, variable: &str) -> Error {
    Error::integrity(format!("the cursor after row {rows} was there before: the pages go round in a circle"))
        .with_hint(format!("check that the query passes `${variable}` on to the list that is paged"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn position(style: PageStyle, rows: u64) -> Position {
        let variable = "v".to_owned();
        let size = Some(PageSize { variable: "n".to_owned(), rows });
        let (path, cursor_field, has_next_field) = (None, String::new(), String::new());
        let paging = Paging { style, path, cursor_field, has_next_field, variable, size, max_pages: None, flat: false };
        Position::first(&paging, None, None)
    }

    fn variables(position: &Position) -> Value {
        let mut variables = Map::new();
        position.fill(&mut variables);
        Value::Object(variables)
    }

    fn info(has_next: Option<bool>, cursor: Value) -> PageInfo {
        PageInfo { has_next, cursor: Some(cursor), seen: "{..}".to_owned() }
    }

    #[test]
    fn cursors_lead_from_page_to_page() {
        let mut position = position(PageStyle::Cursor, 10);
        assert_eq!(variables(&position), json!({"n": 10}));
        assert!(position.advance(info(Some(true), json!("a")), 10).unwrap());
        assert_eq!(variables(&position), json!({"v": "a", "n": 10}));
        assert!(position.advance(info(None, json!(7)), 0).unwrap());
        assert_eq!(variables(&position)["v"], 7);
        assert!(!position.advance(info(Some(false), json!("z")), 1).unwrap());
        assert!(!position.advance(info(None, Value::Null), 1).unwrap());
    }

    #[test]
    fn a_cursor_that_comes_again_and_one_that_does_not_come_are_errors() {
        let mut position = position(PageStyle::Cursor, 10);
        for cursor in ["a", "b"] {
            assert!(position.advance(info(Some(true), json!(cursor)), 5).unwrap());
        }
        let error = position.advance(info(Some(true), json!("a")), 5).unwrap_err();
        assert_eq!(error.message(), "the cursor after row 15 was there before: the pages go round in a circle");
        let error = position.advance(info(Some(true), Value::Null), 5).unwrap_err();
        assert!(error.message().ends_with("gives no cursor for it: {..}"), "{error:?}");
    }

    #[test]
    fn offsets_count_rows_and_end_at_an_empty_page() {
        let mut position = position(PageStyle::Offset, 10);
        for (rows, offset) in [(10, 10), (4, 14), (10, 24)] {
            assert!(position.advance(PageInfo::default(), rows).unwrap());
            assert_eq!(variables(&position)["v"], offset);
        }
        assert!(!position.advance(PageInfo::default(), 0).unwrap());
        let error = position.advance(info(Some(true), Value::Null), 0).unwrap_err();
        assert!(error.message().contains("sends one without rows"), "{error:?}");
    }

    #[test]
    fn a_smaller_page_begins_where_the_larger_one_would() {
        let mut position = position(PageStyle::Page, 12);
        assert!(position.advance(PageInfo::default(), 12).unwrap());
        assert!(position.halve());
        assert_eq!(variables(&position), json!({"v": 3, "n": 6}));
        assert!(position.halve() && position.halve());
        assert_eq!(variables(&position), json!({"v": 13, "n": 1}));
        assert!(!position.halve());
    }

    #[test]
    fn pages_that_were_not_full_cannot_be_counted_in_another_size() {
        let mut short = position(PageStyle::Page, 10);
        assert!(short.advance(PageInfo::default(), 9).unwrap());
        assert!(!short.halve());
        let mut offset = position(PageStyle::Offset, 10);
        assert!(offset.advance(PageInfo::default(), 9).unwrap() && offset.halve());
        assert_eq!(variables(&offset), json!({"v": 9, "n": 5}));
    }
}

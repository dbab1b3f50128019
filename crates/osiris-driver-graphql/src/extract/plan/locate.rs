//! Where the rows, the page info and the number of all rows are in a response, as far as the query shows.

use osiris_core::{Problem, Result};

use crate::config::{PageStyle, Paging};
use crate::query::DataPath;
use crate::query::{Query, Selected, leading_names};

/// A problem for a path whose names the query does not select.
pub(super) fn path_problem(query: &Query, names: &[String]) -> Option<Problem> {
    match names.split_first() {
        None => None,
        Some((first, rest)) if first == "data" => {
            let (name, at, there) = unselected(&query.selected, rest, "data")?;
            let message = format!("the query selects no `{name}` in `{at}`; it selects: {}", there.join(", "));
            Some(
                Problem::error("/data_path", message)
                    .with_hint("use the names in the response, which are aliases where the query has them"),
            )
        }
        Some((first, _)) => {
            let message = format!("`{first}` is not a member of a response");
            Some(
                Problem::error("/data_path", message)
                    .with_hint("expected a path that begins with `data`, such as `data.users.nodes`"),
            )
        }
    }
}

/// The first name that is not selected, where, and what is selected there. Below a scalar any name is allowed.
fn unselected<'a>(selected: &'a [Selected], names: &'a [String], at: &str) -> Option<(&'a str, String, Vec<&'a str>)> {
    let (first, rest) = names.split_first()?;
    if selected.is_empty() {
        return None;
    }
    match selected.iter().find(|field| field.key == *first) {
        Some(field) => unselected(&field.inside, rest, &format!("{at}.{first}")),
        None => Some((first, at.to_owned(), selected.iter().map(|field| field.key.as_str()).collect())),
    }
}

/// Where the object is that describes the next page: as given, or what the query selects next to the rows.
pub(super) fn page_info(paging: &Paging, query: &Query, rows_at: &[String]) -> Result<Option<Vec<String>>, Problem> {
    let Some(path) = &paging.path else {
        let found = sibling(query, rows_at, |field| field.field == "pageInfo");
        let info = found.as_ref().and_then(|names| Selected::at(&query.selected, names.get(1..)?));
        let useful = info.is_some_and(|info| info.inside.iter().any(|field| field.key == paging.has_next_field));
        return match paging.style {
            PageStyle::Cursor if found.is_none() => {
                let (next, cursor) = (&paging.has_next_field, &paging.cursor_field);
                Err(Problem::error(
                    "/query",
                    "the query selects no `pageInfo` next to the rows: the next page cannot be found",
                )
                .with_hint(format!("add `pageInfo {{ {next} {cursor} }}`, or set `pagination.path`")))
            }
            PageStyle::Cursor => Ok(found),
            PageStyle::Offset | PageStyle::Page => Ok(found.filter(|_| useful)),
        };
    };
    let pointer = paging.pointer("path");
    let (names, whole) = leading_names(path);
    if !whole || names.first().map(String::as_str) != Some("data") {
        return Err(Problem::error(
            pointer,
            format!("`{path}` is not a valid path: expected names that begin with `data`"),
        )
        .with_hint("for example `data.users.pageInfo`"));
    }
    if let Some((name, at, there)) = unselected(&query.selected, &names[1..], "data") {
        let message = format!("the query selects no `{name}` in `{at}`; it selects: {}", there.join(", "));
        return Err(
            Problem::error(pointer, message).with_hint("select it, such as `pageInfo { hasNextPage endCursor }`")
        );
    }
    Ok(Some(names))
}

/// The nearest field next to the rows, or next to one of the fields around them, for which `is_so` holds.
pub(super) fn sibling(query: &Query, rows_at: &[String], is_so: impl Fn(&Selected) -> bool) -> Option<Vec<String>> {
    for depth in (1..=rows_at.len()).rev() {
        let names = &rows_at[..depth];
        let inside = match names.get(1..) {
            Some([]) | None => &query.selected,
            Some(inner) => match Selected::at(&query.selected, inner) {
                Some(field) => &field.inside,
                None => continue,
            },
        };
        if let Some(found) = inside.iter().find(|field| is_so(field)) {
            return Some(names.iter().cloned().chain([found.key.clone()]).collect());
        }
    }
    None
}

/// A path without what it says of items of lists: `[*]`, `[0]`, `[1:3]`.
fn without_items(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, inside)) = rest.split_once('[') {
        plain.push_str(before);
        let end = inside.find(|c: char| !matches!(c, '*' | ':' | '-' | '0'..='9')).unwrap_or(inside.len());
        match inside[end..].strip_prefix(']') {
            Some(after) => rest = after,
            // A name or a condition.
            None => return path.to_owned(),
        }
    }
    plain + rest
}

/// What is selected of a row.
pub(super) fn rows_selected(query: &Query, data_path: &DataPath) -> Vec<Selected> {
    let plain = without_items(data_path.as_str()).replace(".*", "");
    let (names, whole) = leading_names(&plain);
    match names.get(1..) {
        Some([]) if whole => query.selected.clone(),
        Some(inner) if whole => {
            Selected::at(&query.selected, inner).map(|field| field.inside.clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

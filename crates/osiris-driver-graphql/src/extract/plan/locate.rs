//! Where things are in an answer, as far as the query itself can tell: the rows, the page info, the number of all rows.

use osiris_core::{Problem, Result};

use crate::config::{PageStyle, Paging};
use crate::query::DataPath;
use crate::query::{Query, Selected, leading_names};

/// A path whose names the query does not select leads nowhere.
pub(super) fn path_problem(query: &Query, names: &[String]) -> Option<Problem> {
    match names.split_first() {
        None => None,
        Some((first, rest)) if first == "data" => {
            let (name, way, there) = unselected(&query.selected, rest, "data")?;
            let message = format!("the query selects no `{name}` in `{way}`; it selects: {}", there.join(", "));
            Some(
                Problem::error("/data_path", message)
                    .with_hint("use the names of the answer: aliases, where there are any"),
            )
        }
        Some((first, _)) => {
            let message = format!("`{first}` is no member of an answer");
            Some(
                Problem::error("/data_path", message)
                    .with_hint("a path begins with `data`, such as `data.users.nodes`"),
            )
        }
    }
}

/// The first name that is not selected, where, and what is selected there. Below a scalar anything may be.
fn unselected<'a>(selected: &'a [Selected], names: &'a [String], way: &str) -> Option<(&'a str, String, Vec<&'a str>)> {
    let (first, rest) = names.split_first()?;
    if selected.is_empty() {
        return None;
    }
    match selected.iter().find(|field| field.key == *first) {
        Some(field) => unselected(&field.inside, rest, &format!("{way}.{first}")),
        None => Some((first, way.to_owned(), selected.iter().map(|field| field.key.as_str()).collect())),
    }
}

/// Where the object is that tells of the next page: as given, or what the query selects beside the rows.
pub(super) fn page_info(paging: &Paging, query: &Query, rows_at: &[String]) -> Result<Option<Vec<String>>, Problem> {
    let Some(path) = &paging.path else {
        let found = beside(query, rows_at, |field| field.field == "pageInfo");
        let told = found.as_ref().and_then(|names| Selected::at(&query.selected, names.get(1..)?));
        let useful = told.is_some_and(|info| info.inside.iter().any(|field| field.key == paging.has_next_field));
        return match paging.style {
            PageStyle::Cursor if found.is_none() => {
                let (next, cursor) = (&paging.has_next_field, &paging.cursor_field);
                Err(Problem::error(
                    "/query",
                    "it selects no `pageInfo` beside the rows, so the next page cannot be found",
                )
                .with_hint(format!("add `pageInfo {{ {next} {cursor} }}`, or say where it is: `pagination.path`")))
            }
            PageStyle::Cursor => Ok(found),
            PageStyle::Offset | PageStyle::Page => Ok(found.filter(|_| useful)),
        };
    };
    let pointer = paging.pointer("path");
    let (names, whole) = leading_names(path);
    if !whole || names.first().map(String::as_str) != Some("data") {
        return Err(Problem::error(pointer, format!("`{path}` is not a path of names that begins with `data`"))
            .with_hint("write it such as `data.users.pageInfo`"));
    }
    if let Some((name, way, there)) = unselected(&query.selected, &names[1..], "data") {
        let message = format!("the query selects no `{name}` in `{way}`; it selects: {}", there.join(", "));
        return Err(
            Problem::error(pointer, message).with_hint("select it, such as `pageInfo { hasNextPage endCursor }`")
        );
    }
    Ok(Some(names))
}

/// The nearest field beside the rows, or beside one of the fields around them, that is so.
pub(super) fn beside(query: &Query, rows_at: &[String], is_so: impl Fn(&Selected) -> bool) -> Option<Vec<String>> {
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

/// What is selected of a row.
pub(super) fn rows_selected(query: &Query, data_path: &DataPath) -> Vec<Selected> {
    let plain = data_path.as_str().replace("[*]", "").replace(".*", "");
    let (names, whole) = leading_names(&plain);
    match names.get(1..) {
        Some([]) if whole => query.selected.clone(),
        Some(inner) if whole => {
            Selected::at(&query.selected, inner).map(|field| field.inside.clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

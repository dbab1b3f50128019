//! Where the rows, the page info and the number of all rows are in a response, as far as the query shows.

use osiris_core::{Problem, Result};

use crate::config::{PageStyle, Paging};
use crate::query::DataPath;
use crate::query::{Given, Query, Selected, leading_names};

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
            PageStyle::Cursor if paging.cursor_path.is_some() => Ok(found.filter(|_| useful)),
            PageStyle::Cursor if found.is_none() => {
                let (next, cursor) = (&paging.has_next_field, &paging.cursor_field);
                Err(Problem::error(
                    "/query",
                    "the query selects no `pageInfo` next to the rows: the next page cannot be found",
                )
                .with_hint(format!(
                    "add `pageInfo {{ {next} {cursor} }}`, or set `pagination.path` or `pagination.cursor_path`"
                )))
            }
            PageStyle::Cursor => Ok(found),
            PageStyle::Offset | PageStyle::Page => Ok(found.filter(|_| useful)),
        };
    };
    let found = selected_path(&paging.pointer("path"), path, query, "data.users.pageInfo");
    found.map(Some).map_err(|problem| match problem.hint {
        Some(_) => problem,
        None => problem.with_hint("select it, such as `pageInfo { hasNextPage endCursor }`"),
    })
}

/// Pages that go backwards, by `last` and `before`, are not described by what `pageInfo` says of the next one: it would end them.
pub(super) fn backwards_problem(paging: &Paging, query: &Query, page_info: Option<&[String]>) -> Option<Problem> {
    let info = Selected::at(&query.selected, page_info?.get(1..)?)?;
    let name = |key: &str| info.inside.iter().find(|field| field.key == key).map(|field| field.field.as_str());
    let is_next =
        name(&paging.has_next_field) == Some("hasNextPage") || name(&paging.cursor_field) == Some("endCursor");
    let takes = |field: &Selected| {
        let mut arguments = field.arguments.iter();
        arguments.clone().any(|argument| argument.name == "last")
            && arguments.any(|argument| argument.name == "before" && is_variable(&argument.value, &paging.variable))
    };
    (paging.style == PageStyle::Cursor && is_next && any(&query.selected, &takes)).then(|| {
        let message =
            format!("`before: ${}` pages backwards, but `pageInfo` is asked for the next page", paging.variable);
        Problem::error(paging.pointer("has_next_field"), message).with_hint(
            "set `has_next_field: hasPreviousPage` and `cursor_field: startCursor`, and select them in the query",
        )
    })
}

fn is_variable(value: &Given, name: &str) -> bool {
    matches!(value, Given::Variable(variable) if variable == name)
}

/// Whether `is_so` holds for a field at any depth.
fn any(selected: &[Selected], is_so: &impl Fn(&Selected) -> bool) -> bool {
    selected.iter().any(|field| is_so(field) || any(&field.inside, is_so))
}

/// The server's count of all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::extract) struct Total {
    /// The names that lead to it.
    pub(in crate::extract) names: Vec<String>,
    /// Whether it is known to count the rows: then fewer of them are an error. Otherwise it serves progress only.
    pub(in crate::extract) is_count: bool,
    /// Whether the configuration names it, so that it must be there.
    pub(in crate::extract) is_named: bool,
}

/// The names of the count of a list, next to its items, as Relay servers have it.
const COUNTS: [&str; 2] = ["totalCount", "total_count"];

/// The argument that selects the items of a list.
const FILTER: &str = "filter";

/// The names under which servers report how many rows there are in all.
const TOTALS: [&str; 4] = ["totalCount", "total_count", "total", "count"];

/// Where the count of all rows is: as given, or what the query selects next to the rows, or around them.
pub(super) fn total(paging: Option<&Paging>, query: &Query, rows_at: &[String]) -> Result<Option<Total>, Problem> {
    if let Some((paging, path)) = paging.and_then(|paging| Some((paging, paging.total.as_ref()?))) {
        let names = selected_path(&paging.pointer("total"), path, query, "data.users.totalCount")?;
        return Ok(Some(Total { names, is_count: true, is_named: true }));
    }
    let is_scalar =
        |field: &&Selected, names: &[&str]| names.contains(&field.field.as_str()) && field.inside.is_empty();
    let around = rows_at.split_last().map(|(_, around)| around).filter(|around| !around.is_empty());
    let beside = around.and_then(|around| {
        let fields = match &around[1..] {
            [] => &query.selected,
            inner => &Selected::at(&query.selected, inner)?.inside,
        };
        let count = fields.iter().find(|field| is_scalar(field, &COUNTS))?;
        Some(around.iter().cloned().chain([count.key.clone()]).collect())
    });
    let beside = beside.or_else(|| meta_count(query, rows_at));
    let is_count = beside.is_some();
    let names = beside.or_else(|| sibling(query, rows_at, |field| is_scalar(&field, &TOTALS)));
    Ok(names.map(|names| Total { names, is_count, is_named: false }))
}

/// The count of a list `users` in `_usersMeta { count }` next to it, as json-graphql-server and react-admin have it, if the two have the
/// same filters.
fn meta_count(query: &Query, rows_at: &[String]) -> Option<Vec<String>> {
    let (_, around) = rows_at.split_last()?;
    let list = Selected::at(&query.selected, rows_at.get(1..)?)?;
    let fields = match around.get(1..)? {
        [] => &query.selected,
        inner => &Selected::at(&query.selected, inner)?.inside,
    };
    let name = format!("_{}Meta", list.field);
    let filter = |field: &Selected| field.arguments.iter().find(|argument| argument.name == FILTER).cloned();
    // Two filters that are written out cannot be compared here: only their names are known.
    let is_same = |meta: &Selected| match (filter(list), filter(meta)) {
        (None, None) => true,
        (Some(of_list), Some(of_meta)) => of_list == of_meta && of_list.value != Given::Other,
        _ => false,
    };
    let meta = fields.iter().find(|field| field.field == name && is_same(field))?;
    let count = meta.inside.iter().find(|field| field.field == "count" && field.inside.is_empty())?;
    Some(around.iter().cloned().chain([meta.key.clone(), count.key.clone()]).collect())
}

/// Where the cursor of the next page is in the last item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::extract) struct CursorPath {
    /// The names that lead to the list.
    pub(in crate::extract) list: Vec<String>,
    /// Those that lead from an item to the cursor.
    pub(in crate::extract) inside: Vec<String>,
}

impl CursorPath {
    /// The path, for messages.
    pub(in crate::extract) fn written(&self) -> String {
        format!("{}[-1].{}", self.list.join("."), self.inside.join("."))
    }
}

/// The `cursor_path` of the pagination, which the query must select.
pub(super) fn cursor_path(paging: &Paging, query: &Query) -> Result<Option<CursorPath>, Problem> {
    let Some(path) = &paging.cursor_path else { return Ok(None) };
    let (pointer, example) = (paging.pointer("cursor_path"), "data.users.edges[-1].cursor");
    let Some((list, inside)) = path.split_once("[-1].") else {
        let message = format!("`{path}` does not name the last item of a list");
        return Err(Problem::error(pointer, message).with_hint(format!("for example `{example}`")));
    };
    let names = selected_path(&pointer, &format!("{list}.{inside}"), query, example)?;
    let inside = inside.split('.').count();
    let (list, inside) = names.split_at(names.len() - inside);
    Ok(Some(CursorPath { list: list.to_vec(), inside: inside.to_vec() }))
}

/// The names of a path of the configuration, which the query must select.
fn selected_path(pointer: &str, path: &str, query: &Query, example: &str) -> Result<Vec<String>, Problem> {
    let (names, whole) = leading_names(path);
    if !whole || names.first().map(String::as_str) != Some("data") {
        let message = format!("`{path}` is not a valid path: expected names that begin with `data`");
        return Err(Problem::error(pointer, message).with_hint(format!("for example `{example}`")));
    }
    if let Some((name, at, there)) = unselected(&query.selected, &names[1..], "data") {
        let message = format!("the query selects no `{name}` in `{at}`; it selects: {}", there.join(", "));
        return Err(Problem::error(pointer, message));
    }
    Ok(names)
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

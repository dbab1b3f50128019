//! The plan of an extraction: the query, where its rows are, how its pages are found. Made without I/O, so that all
//! problems are known before anything is sent.

mod locate;
mod part;

use osiris_core::problem::ensure_none;
use osiris_core::{DRY_RUN_ROWS, Problem, Result};
use serde_json::{Map, Value};

use super::nested::{Nested, Own, Unseen};
use crate::config::{ExtractorConfig, NestedPages, NullItems, PageStyle, Paging, PartialErrors, paging};
use crate::query::DataPath;
use crate::query::{Given, Query, Selected, value_problems};
use locate::{backwards_problem, cursor_path, page_info, path_problem, rows_selected, total};

pub(super) use locate::{CursorPath, Total};
pub(super) use part::Part;

/// An extraction, ready to run.
#[derive(Debug)]
pub(super) struct ExtractPlan {
    pub(super) text: String,
    pub(super) operation: Option<String>,
    pub(super) variables: Map<String, Value>,
    pub(super) data_path: DataPath,
    /// The names that `data_path` begins with.
    pub(super) rows_at: Vec<String>,
    pub(super) paging: Option<Paging>,
    /// Where the object is that describes the next page.
    pub(super) page_info: Option<Vec<String>>,
    /// Where the cursor of the next page is, if not in that object.
    pub(super) cursor_path: Option<CursorPath>,
    /// Where the number of all rows is.
    pub(super) total: Option<Total>,
    /// Which part of the list of the rows the query itself requests.
    pub(super) part: Part,
    pub(super) nested: Nested,
    /// What is selected of a row, as far as the query shows.
    pub(super) selected: Vec<Selected>,
    pub(super) flatten: bool,
    pub(super) partial_errors: PartialErrors,
    pub(super) null_items: NullItems,
    /// The variable's default in the query: where to start when `variables` says nothing.
    pub(super) start: Option<u64>,
    /// Rows to keep at most.
    pub(super) max_rows: Option<u64>,
    pub(super) warnings: Vec<Problem>,
}

impl ExtractPlan {
    /// Checks everything that can be checked.
    ///
    /// # Errors
    /// All problems.
    pub(super) fn new(config: &ExtractorConfig) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |found: Vec<Problem>| problems.extend(found);
        let query = Query::parse(&config.query, config.operation_name.as_deref()).map_err(&mut keep).ok();
        let paging = paging(config).map_err(&mut keep).ok();
        let data_path = DataPath::parse(&config.data_path).map_err(|problem| keep(vec![problem])).ok();
        let (Some(query), Some(paging), Some(data_path)) = (query, paging, data_path) else { return Err(problems) };
        let filled: Vec<&str> = paging.iter().flat_map(filled).collect();
        problems.extend(value_problems(&config.query, &query.variables, &config.variables, &filled));
        let (rows_at, _) = data_path.names();
        problems.extend(path_problem(&query, &rows_at));
        let page_info = match &paging {
            Some(paging) => {
                problems.extend(variable_problems(paging, &query));
                page_info(paging, &query, &rows_at).map_err(|problem| problems.push(problem)).ok().flatten()
            }
            None => None,
        };
        let cursor_path = paging
            .as_ref()
            .and_then(|paging| cursor_path(paging, &query).map_err(|problem| problems.push(problem)).ok().flatten());
        let total = total(paging.as_ref(), &query, &rows_at).map_err(|problem| problems.push(problem)).ok().flatten();
        problems.extend(paging.as_ref().and_then(|paging| offset_problem(paging, &data_path)));
        problems.extend(paging.as_ref().and_then(|paging| backwards_problem(paging, &query, page_info.as_deref())));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        let selected = rows_selected(&query, &data_path);
        let limit = |limit: &Given| limit_of(limit, config, &query, paging.as_ref());
        let own = Own { rows_at: &rows_at, page_info: page_info.as_deref() };
        let nested = Nested::of(&query.selected, &selected, own, config.nested_pages, &limit);
        problems.extend(nested.unseen().filter_map(|unseen| unseen_problem(unseen, config.nested_pages)));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        let start = paging.as_ref().and_then(|paging| query.variable(&paging.variable)?.default.as_ref()?.number());
        Ok(Self {
            text: config.query.clone(),
            operation: config.operation_name.clone().or_else(|| query.name.clone()),
            variables: config.variables.clone(),
            part: Part::of(&query, config, paging.as_ref(), &rows_at),
            total,
            data_path,
            rows_at,
            paging,
            page_info,
            cursor_path,
            nested,
            selected,
            flatten: config.flatten_result,
            partial_errors: config.partial_errors,
            null_items: config.null_items,
            start,
            max_rows: None,
            warnings: problems,
        })
    }

    /// The same for a configuration that was checked before.
    pub(super) fn of_checked(config: &ExtractorConfig) -> Result<Self> {
        Self::new(config).map_err(|problems| {
            let error = ensure_none(&problems, "its config").err();
            error.unwrap_or_else(|| osiris_core::Error::validation("its config is not valid"))
        })
    }

    /// For a dry run: one page, of no more rows than a sample has.
    pub(super) fn keep_small(&mut self) {
        self.max_rows = Some(DRY_RUN_ROWS);
        if let Some(size) = self.paging.as_mut().and_then(|paging| paging.size.as_mut()) {
            size.rows = size.rows.min(DRY_RUN_ROWS);
        }
    }

    /// The number of the first page, where pages have numbers.
    pub(super) fn first_page(&self) -> Option<u64> {
        let paging = self.paging.as_ref().filter(|paging| paging.style == PageStyle::Page)?;
        let given = self.variables.get(&paging.variable).and_then(Value::as_u64);
        Some(given.or(self.start).unwrap_or(paging.first_page))
    }

    /// Whether a page that is too large can be requested again in a smaller size.
    pub(super) fn shrinks(&self) -> bool {
        self.paging.as_ref().is_some_and(|paging| paging.size.is_some())
    }
}

/// The variables that the extractor sets for the first page, which has no cursor.
fn filled(paging: &Paging) -> Vec<&str> {
    let page = (paging.style != PageStyle::Cursor).then_some(paging.variable.as_str());
    page.into_iter().chain(paging.size.as_ref().map(|size| size.variable.as_str())).collect()
}

/// The variables of the pagination must be declared and used.
fn variable_problems(paging: &Paging, query: &Query) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (of, argument) = match paging.style {
        PageStyle::Cursor => ("String", "after"),
        PageStyle::Offset => ("Int", "offset"),
        PageStyle::Page => ("Int", "page"),
    };
    let size = paging.size.iter().map(|size| ("page_size_variable", size.variable.as_str(), "Int", "first"));
    for (field, name, of, argument) in std::iter::once(("variable", paging.variable.as_str(), of, argument)).chain(size)
    {
        let missing = match query.variable(name) {
            None => "does not declare",
            Some(variable) if !variable.used => "declares but does not use",
            Some(_) => continue,
        };
        let without = if field == "variable" { "every page would be the same" } else { "the size could not be set" };
        let message = format!("the query {missing} the variable `${name}`: {without}");
        problems.push(
            Problem::error(paging.pointer(field), message)
                .with_hint(format!("write `query (${name}: {of})` and pass it on: `users({argument}: ${name})`")),
        );
    }
    problems
}

/// An offset counts items, so each item must be one row.
fn offset_problem(paging: &Paging, data_path: &DataPath) -> Option<Problem> {
    let shown = data_path.as_str();
    (paging.style == PageStyle::Offset && !data_path.counts_items()).then(|| {
        Problem::error(
            "/data_path",
            format!("`{shown}` may find more or fewer rows than items, which an offset counts"),
        )
        .with_hint("select the items themselves, and filter or unnest them in a later step")
    })
}

/// A list inside of a row that may be cut without a sign of it. With `nested_pages: fail` the sign is required.
fn unseen_problem(unseen: &Unseen, policy: NestedPages) -> Option<Problem> {
    let path = &unseen.path;
    let why =
        if unseen.is_limited { "the query requests only a part of it" } else { "nothing shows whether it is whole" };
    let message = format!("`{path}` may be incomplete: {why}");
    match (policy, unseen.is_limited, unseen.has_limit) {
        (NestedPages::Warn, true, _) => {
            Some(Problem::warning("/query", message).with_hint("select `pageInfo { hasNextPage }` there"))
        }
        (NestedPages::Fail, _, false) => Some(
            Problem::error("/query", message)
                .with_hint("select `pageInfo { hasNextPage }` or `totalCount` there, or set `nested_pages: warn`"),
        ),
        _ => None,
    }
}

/// The number of items that a limit allows. That of a page changes while rows are read.
fn limit_of(limit: &Given, config: &ExtractorConfig, query: &Query, paging: Option<&Paging>) -> Option<u64> {
    let changes = paging.is_some_and(|paging| paging.sets(limit));
    query.value(limit, &config.variables).number().filter(|_| !changes)
}

#[cfg(test)]
mod tests;

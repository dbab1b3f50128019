//! The plan of an extraction: the query, where its rows are, how its pages are found. Made without I/O, so that all
//! problems are known before anything is sent.

mod locate;

use osiris_core::problem::ensure_none;
use osiris_core::{DRY_RUN_ROWS, Problem, Result, Severity};
use serde_json::{Map, Value};

use super::nested::Nested;
use crate::config::{ExtractorConfig, NestedPages, PageStyle, Paging, PartialErrors, paging};
use crate::query::DataPath;
use crate::query::{Query, Selected, value_problems};
use locate::{page_info, path_problem, rows_selected, sibling};

/// The names under which servers report how many rows there are in all.
const TOTALS: [&str; 4] = ["totalCount", "total_count", "total", "count"];

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
    /// Where the number of all rows is.
    pub(super) total: Option<Vec<String>>,
    pub(super) nested: Nested,
    /// What is selected of a row, as far as the query shows.
    pub(super) selected: Vec<Selected>,
    pub(super) flatten: bool,
    pub(super) partial_errors: PartialErrors,
    pub(super) nested_pages: NestedPages,
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
        problems.extend(paging.as_ref().and_then(|paging| offset_problem(paging, &data_path)));
        if problems.iter().any(Problem::is_error) {
            return Err(problems);
        }
        let selected = rows_selected(&query, &data_path);
        let nested = Nested::of(&query.selected, &selected, &rows_at, page_info.as_deref());
        problems.extend(nested.unseen().map(unseen));
        let start = paging.as_ref().and_then(|paging| query.variable(&paging.variable)?.default);
        Ok(Self {
            text: config.query.clone(),
            operation: config.operation_name.clone().or_else(|| query.name.clone()),
            variables: config.variables.clone(),
            total: sibling(&query, &rows_at, |field| TOTALS.contains(&field.field.as_str()) && field.inside.is_empty()),
            data_path,
            rows_at,
            paging,
            page_info,
            nested,
            selected,
            flatten: config.flatten_result,
            partial_errors: config.partial_errors,
            nested_pages: config.nested_pages,
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

fn unseen(path: String) -> Problem {
    let message = format!("`{path}` may be incomplete: the query requests only a part of it");
    Problem { severity: Severity::Warning, ..Problem::error("/query", message) }
        .with_hint("select `pageInfo { hasNextPage }` there")
}

#[cfg(test)]
mod tests;

//! The pagination that a configuration asks for, whether as the mapping `pagination` or by the flat names that older pipelines use.

use osiris_core::Problem;

use super::extractor::ExtractorConfig;
use super::pagination::{PageStyle, Pagination};
use crate::query::Given;

/// The rows of one page, when nothing else is said.
const PAGE_SIZE: u64 = 1000;

/// The pagination of an extraction, with every default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) style: PageStyle,
    pub(crate) path: Option<String>,
    pub(crate) cursor_field: String,
    pub(crate) cursor_path: Option<String>,
    pub(crate) has_next_field: String,
    pub(crate) variable: String,
    pub(crate) first_page: u64,
    pub(crate) total: Option<String>,
    pub(crate) size: Option<PageSize>,
    pub(crate) max_pages: Option<u64>,
    /// The field that messages name: `pagination.` or `pagination_`.
    pub(crate) flat: bool,
}

/// The variable that takes the size of a page, and that size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageSize {
    pub(crate) variable: String,
    pub(crate) rows: u64,
}

impl Paging {
    /// Whether a value is that of a variable that it sets.
    pub(crate) fn sets(&self, value: &Given) -> bool {
        let Given::Variable(name) = value else { return false };
        *name == self.variable || self.size.as_ref().is_some_and(|size| size.variable == *name)
    }

    /// The JSON Pointer of one of its fields.
    pub(crate) fn pointer(&self, field: &str) -> String {
        if self.flat { format!("/pagination_{field}") } else { format!("/pagination/{field}") }
    }
}

/// The pagination that a configuration asks for, if any.
///
/// # Errors
/// Fields that contradict one another.
pub(crate) fn paging(config: &ExtractorConfig) -> Result<Option<Paging>, Vec<Problem>> {
    let flat = flat(config);
    let enabled = config.pagination_enabled;
    let given = match (&config.pagination, flat) {
        (Some(_), Some(_)) => {
            let problem =
                Problem::error("/pagination", "`pagination` conflicts with the fields `pagination_*`: set one of them");
            return Err(vec![problem.with_hint("keep `pagination`")]);
        }
        (Some(_), None) if enabled == Some(false) => {
            let problem = Problem::error("/pagination_enabled", "conflicts with `pagination`: set one of them");
            return Err(vec![problem.with_hint("remove one of them")]);
        }
        (Some(nested), None) => (nested.clone(), false),
        (None, _) if enabled == Some(false) => return Ok(None),
        (None, Some(flat)) => (flat, true),
        (None, None) if enabled == Some(true) => (Pagination::default(), true),
        (None, None) => return Ok(None),
    };
    complete(given.0, given.1).map(Some)
}

/// The flat fields as a mapping; nothing when none of them is given.
fn flat(config: &ExtractorConfig) -> Option<Pagination> {
    let flat = Pagination {
        style: config.pagination_style,
        path: config.pagination_path.clone(),
        cursor_field: config.pagination_cursor_field.clone(),
        has_next_field: config.pagination_has_next_field.clone(),
        variable: config.pagination_variable.clone(),
        cursor_path: None,
        first_page: None,
        total: None,
        page_size_variable: config.pagination_page_size_variable.clone(),
        page_size: config.pagination_page_size,
        max_pages: config.pagination_max_pages,
    };
    let some = flat.style.is_some()
        || [&flat.path, &flat.cursor_field, &flat.has_next_field, &flat.variable, &flat.page_size_variable]
            .iter()
            .any(|field| field.is_some())
        || flat.page_size.is_some()
        || flat.max_pages.is_some();
    some.then_some(flat)
}

fn complete(given: Pagination, flat: bool) -> Result<Paging, Vec<Problem>> {
    let style = given.style.unwrap_or_default();
    let has_field = given.cursor_field.is_some();
    let usual = match style {
        PageStyle::Cursor => "after",
        PageStyle::Offset => "offset",
        PageStyle::Page => "page",
    };
    let size =
        given.page_size_variable.map(|variable| PageSize { variable, rows: given.page_size.unwrap_or(PAGE_SIZE) });
    let paging = Paging {
        style,
        path: given.path,
        cursor_field: given.cursor_field.unwrap_or_else(|| "endCursor".to_owned()),
        cursor_path: given.cursor_path,
        has_next_field: given.has_next_field.unwrap_or_else(|| "hasNextPage".to_owned()),
        variable: given.variable.unwrap_or_else(|| usual.to_owned()),
        first_page: given.first_page.unwrap_or(1),
        total: given.total,
        size,
        max_pages: given.max_pages.filter(|pages| *pages > 0),
        flat,
    };
    let mut problems = Vec::new();
    if given.first_page.is_some() && style != PageStyle::Page {
        let problem = Problem::error(paging.pointer("first_page"), "`first_page` needs `style: page`");
        problems.push(problem.with_hint("remove it: only pages that have numbers have a first one"));
    }
    if paging.cursor_path.is_some() && (style != PageStyle::Cursor || has_field) {
        let message = "`cursor_path` needs `style: cursor`, and no `cursor_field`";
        problems.push(Problem::error(paging.pointer("cursor_path"), message).with_hint("remove one of them"));
    }
    if paging.size.is_none() && given.page_size.is_some() {
        let problem = Problem::error(paging.pointer("page_size"), "`page_size` needs `page_size_variable`");
        problems.push(problem.with_hint("name the query's variable: `page_size_variable: first`"));
    }
    if paging.size.as_ref().is_some_and(|size| size.variable == paging.variable) {
        let message = format!("`{}` cannot name both the page and its size", paging.variable);
        problems.push(Problem::error(paging.pointer("page_size_variable"), message));
    }
    if problems.is_empty() { Ok(paging) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(mut fields: Value) -> Result<Option<Paging>, Vec<Problem>> {
        fields["query"] = json!("{ a }");
        paging(&serde_json::from_value(fields).unwrap())
    }

    #[test]
    fn both_notations_mean_the_same() {
        let nested = read(json!({"pagination": {
            "style": "offset", "path": "data.p", "has_next_field": "more", "variable": "skip",
            "page_size_variable": "take", "page_size": 50, "max_pages": 3,
        }}));
        let flat = read(json!({
            "pagination_style": "offset", "pagination_path": "data.p", "pagination_has_next_field": "more",
            "pagination_variable": "skip", "pagination_page_size_variable": "take", "pagination_page_size": 50,
            "pagination_max_pages": 3, "pagination_enabled": true,
        }));
        let nested = nested.unwrap().unwrap();
        assert_eq!(nested, Paging { flat: false, ..flat.unwrap().unwrap() });
        assert_eq!(nested.size, Some(PageSize { variable: "take".to_owned(), rows: 50 }));
    }

    #[test]
    fn an_older_pipeline_is_cursor_pagination_with_the_usual_names() {
        let paging = read(json!({"pagination_enabled": true, "pagination_path": "data.p.pageInfo"})).unwrap().unwrap();
        assert_eq!((paging.style, paging.variable.as_str()), (PageStyle::Cursor, "after"));
        assert_eq!((paging.cursor_field.as_str(), paging.has_next_field.as_str()), ("endCursor", "hasNextPage"));
        assert_eq!(read(json!({"pagination_enabled": false, "pagination_path": "x"})).unwrap(), None);
        assert_eq!(read(json!({})).unwrap(), None);
    }

    #[test]
    fn contradictions_are_reported() {
        let messages = |fields: Value| {
            let problems = read(fields).unwrap_err();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert!(messages(json!({"pagination": {}, "pagination_max_pages": 1})).contains("conflicts with the fields"));
        assert!(
            messages(json!({"pagination": {}, "pagination_enabled": false})).contains("conflicts with `pagination`")
        );
        assert!(messages(json!({"pagination": {"page_size": 5}})).contains("needs `page_size_variable`"));
        for conflict in [json!({"style": "page"}), json!({"cursor_field": "at"})] {
            let mut pagination = conflict;
            pagination["cursor_path"] = json!("data.a[-1].id");
            assert!(messages(json!({"pagination": pagination})).contains("needs `style: cursor`"));
        }
        assert!(messages(json!({"pagination": {"first_page": 0}})).contains("needs `style: page`"));
        assert!(
            messages(json!({"pagination": {"page_size_variable": "after"}})).contains("both the page and its size")
        );
    }
}

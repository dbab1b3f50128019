//! One response: whether it is valid, what it says about the next page, the number of all rows, and its cost.

use std::time::Duration;

use osiris_core::{Error, Result};
use osiris_http::pages::NextPage;
use osiris_http::{Page, Usage};
use serde_json::Value;

use super::count::whole_number;
use super::nested::ITEMS;
use super::plan::{CursorPath, ExtractPlan, Total};
use crate::config::{PageStyle, Paging, PartialErrors};
use crate::error::GraphqlErrors;
use crate::query::Found;

/// What a response says about the next page.
#[derive(Debug, Default)]
pub(super) struct PageInfo {
    /// Whether there is one, where it says so.
    pub(super) has_next: Option<bool>,
    /// Whether it has null instead.
    pub(super) is_null: bool,
    /// Its cursor.
    pub(super) cursor: Option<Value>,
    /// What was found where these were expected, for messages.
    pub(super) seen: String,
}

/// A response that may be stored.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) found: Found,
    /// Errors in it that the step accepts.
    pub(super) errors: Option<GraphqlErrors>,
    /// Whether there is null where the list of the rows would be, or something around it.
    pub(super) is_null: bool,
}

impl Answer {
    /// Reads a successful response. GraphQL servers report errors in these as well.
    ///
    /// # Errors
    /// Retryable if the same request may succeed later.
    pub(super) fn read(plan: &ExtractPlan, page: &Page) -> Result<Self> {
        let found = plan.data_path.find(page)?;
        let answer = found.envelope();
        let errors = GraphqlErrors::around_rows(answer, &plan.rows_at);
        if let Some(errors) = &errors {
            accept(plan, answer, errors)?;
        } else if !answer.is_object() || answer.get("data").is_none() {
            return Err(Error::validation(
                "the response is not a GraphQL response: it has neither `data` nor `errors`",
            )
            .with_hint("check `endpoint` of the connection: its path is often `/graphql`"));
        }
        if !found.document().matched() && errors.is_none() && !list_is_null(plan, answer) {
            let (path, seen) = (plan.data_path.as_str(), found.document().stopped_at());
            return Err(Error::validation(format!("`data_path` matches nothing: {seen}"))
                .with_context("data_path", path)
                .with_hint("use the names in the response, which are aliases where the query has them"));
        }
        let is_null = rows_are_null(plan, answer);
        Ok(Self { found, errors, is_null })
    }

    /// How many items the page has, rows or not: what an offset counts.
    pub(super) fn items(&self, plan: &ExtractPlan) -> u64 {
        let list = match plan.data_path.names().1 {
            true => None,
            false => plan.rows_at.iter().try_fold(self.found.envelope(), |value, name| value.get(name)),
        };
        let items = list.and_then(Value::as_array).map_or_else(|| self.found.document().row_count(), Vec::len);
        items as u64
    }

    /// What it says about the next page.
    ///
    /// # Errors
    /// When it lacks what the pagination needs.
    pub(super) fn page_info(&self, plan: &ExtractPlan, paging: &Paging) -> Result<PageInfo> {
        let Some(names) = &plan.page_info else { return Ok(PageInfo::default()) };
        let path = names.join(".");
        let info = self.found.value(names, &plan.rows_at).filter(|info| !info.is_null());
        let Some(info) = info else {
            let seen = shape_on_the_path(self.found.envelope(), names);
            return Err(Error::validation(format!(
                "`{path}` is missing from the response, so the next page cannot be found: {seen}"
            ))
            .with_hint("set `pagination.path` to the object that describes the next page"));
        };
        let (next, cursor) = (info.get(&paging.has_next_field), info.get(&paging.cursor_field));
        if next.is_none() && cursor.is_none() {
            let (wanted, other) = (&paging.has_next_field, &paging.cursor_field);
            let message = format!("`{path}` has neither `{wanted}` nor `{other}`; it is {}", shape(&info));
            return Err(Error::validation(message).with_hint(
                "select them in the query, or set `pagination.has_next_field` and `pagination.cursor_field`",
            ));
        }
        let has_next = match next {
            None | Some(Value::Null) => None,
            Some(Value::Bool(next)) => Some(*next),
            Some(other) => {
                let message = format!("`{path}.{}` is {}: expected true or false", paging.has_next_field, shape(other));
                return Err(Error::validation(message).with_hint("set `pagination.has_next_field` to another field"));
            }
        };
        let is_null = next == Some(&Value::Null);
        Ok(PageInfo { has_next, is_null, cursor: cursor.cloned(), seen: shape(&info) })
    }

    /// What it says of the next page, in the form of the paging.
    ///
    /// # Errors
    /// When it lacks what the pagination needs.
    pub(super) fn next(&self, plan: &ExtractPlan) -> Result<NextPage> {
        let Some(paging) = &plan.paging else { return Ok(NextPage::Last) };
        let info = self.page_info(plan, paging)?;
        if let Some(path) = &plan.cursor_path {
            return self.next_by_last_item(plan, path, info.has_next);
        }
        Ok(match (info.has_next, paging.style) {
            (Some(false), _) => NextPage::Last,
            (Some(true), PageStyle::Offset | PageStyle::Page) => NextPage::More,
            (None, PageStyle::Offset | PageStyle::Page) => NextPage::Unknown,
            (has_next, PageStyle::Cursor) => match NextPage::by_cursor(info.cursor.as_ref()) {
                NextPage::Unknown if has_next == Some(true) => return Err(no_cursor(&info.seen)),
                NextPage::Unknown if info.is_null && (self.items(plan) > 0 || self.errors.is_some()) => {
                    return Err(nothing_said(&info.seen, paging));
                }
                next => next,
            },
        })
    }

    /// The same where the cursor is in the last item: an empty page is the end.
    fn next_by_last_item(&self, plan: &ExtractPlan, path: &CursorPath, has_next: Option<bool>) -> Result<NextPage> {
        if has_next == Some(false) || (has_next.is_none() && self.items(plan) == 0) {
            return Ok(NextPage::Last);
        }
        let last = self.cursor(plan, path, 0);
        if last.is_some() && last == self.cursor(plan, path, 1) {
            return Err(tied(path));
        }
        match NextPage::by_cursor(last.as_ref()) {
            NextPage::Unknown => {
                let message = format!("`{}` is not in the response, so the next page cannot be found", path.written());
                Err(Error::validation(message).with_hint("set `pagination.cursor_path` to a field that every item has"))
            }
            next => Ok(next),
        }
    }

    /// Whether it says that there are rows where its list is null: on the next page, or by their count.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub(super) fn is_null_among_others(&self, plan: &ExtractPlan) -> Result<bool> {
        if !self.is_null {
            return Ok(false);
        }
        let is_counted = plan.total.as_ref().is_some_and(|total| total.is_count) && self.total(plan)? > Some(0);
        Ok(is_counted || matches!(self.next(plan)?, NextPage::More | NextPage::Cursor(_)))
    }

    /// The cursor in an item of a list, by its number from the end, from 0; `None` where there is no such item, or it has none.
    fn cursor(&self, plan: &ExtractPlan, path: &CursorPath, from_end: usize) -> Option<Value> {
        let below = plan.data_path.below_items().filter(|_| path.list == plan.rows_at);
        let cursor = match below.as_ref().and_then(|below| path.inside.strip_prefix(below.as_slice())) {
            Some(inside) => {
                let document = self.found.document();
                let mut row = document.row(document.row_count().checked_sub(from_end + 1)?)?;
                for name in inside {
                    row = row.get(name)?.as_row();
                }
                serde_json::from_str(row.as_str()).ok()?
            }
            None => {
                let list = path.list.iter().try_fold(self.found.envelope(), |value, name| value.get(name))?;
                let item = list.as_array()?.iter().nth_back(from_end)?;
                path.inside.iter().try_fold(item, |value, name| value.get(name))?.clone()
            }
        };
        Some(cursor).filter(|cursor| !cursor.is_null())
    }

    /// How many rows there are in all, where it says so.
    ///
    /// # Errors
    /// When it does not say so at the path of the configuration.
    pub(super) fn total(&self, plan: &ExtractPlan) -> Result<Option<u64>> {
        let Some(Total { names, is_named, .. }) = &plan.total else { return Ok(None) };
        let value = self.found.value(names, &plan.rows_at).unwrap_or_default();
        let total = whole_number(&value);
        if *is_named && total.is_none() {
            let message = format!("`{}` is {}: expected a whole number", names.join("."), shape(&value));
            return Err(Error::validation(message).with_hint("set `pagination.total` to the count of all rows"));
        }
        Ok(total)
    }

    /// Whether one of its errors may be why item `index` of the rows is null.
    pub(super) fn explain_null(&self, plan: &ExtractPlan) -> impl Fn(usize) -> bool + Send + 'static {
        let is_counted =
            plan.data_path.counts_items() && plan.data_path.null_items(self.found.envelope(), usize::MAX).is_none();
        let errors = self.errors.clone();
        move |index| {
            let item = is_counted.then_some(index as u64);
            errors.as_ref().is_some_and(|errors| errors.explain_null(item))
        }
    }

    /// What is left of the server's budget, in requests such as this one.
    pub(super) fn usage(&self) -> Option<Usage> {
        QueryCost::of(self.found.envelope()).map(|cost| cost.usage())
    }
}

/// Whether there is null where the rows would be: a list or an object that does not exist, which means no rows.
fn list_is_null(plan: &ExtractPlan, answer: &Value) -> bool {
    let names = &plan.rows_at;
    let list = || names.iter().try_fold(answer, |value, name| value.get(name));
    plan.data_path.leads_to_rows() && names.len() > 1 && list() == Some(&Value::Null)
}

/// Whether there is null where the list of the rows would be, or something around it. Where a search finds the rows that is a list
/// next to the page info.
fn rows_are_null(plan: &ExtractPlan, answer: &Value) -> bool {
    let null_at = |names: &[String]| {
        let value = names.iter().try_fold(answer, |value, name| match value {
            Value::Null => Some(value),
            value => value.get(name),
        });
        value == Some(&Value::Null)
    };
    let beside = plan.page_info.as_ref().filter(|_| !plan.data_path.leads_to_rows());
    let beside = beside.and_then(|info| info.split_last()).map(|(_, around)| around);
    let beside = beside.filter(|around| plan.rows_at.len() <= around.len());
    let lists = |around: &[String]| ITEMS.iter().any(|name| null_at(&[around, &[(*name).to_owned()]].concat()));
    null_at(&plan.rows_at) || beside.is_some_and(lists)
}

/// Whether a response with errors may be stored.
fn accept(plan: &ExtractPlan, answer: &Value, errors: &GraphqlErrors) -> Result<()> {
    let wait = errors.is_throttling().then(|| QueryCost::of(answer).map(|cost| cost.wait())).flatten();
    if plan.partial_errors == PartialErrors::Warn && errors.is_partial() {
        return Ok(());
    }
    let error = errors.error(wait);
    let give_up = plan.shrinks() && crate::error::is_too_large(&error);
    Err(if give_up { error.with_retryable(false) } else { error })
}

/// A budget of points that refills over time: `extensions.cost` of Shopify
/// (<https://shopify.dev/docs/api/usage/limits>), which others have adopted.
#[derive(Debug, Clone, Copy, PartialEq)]
struct QueryCost {
    requested: f64,
    available: f64,
    maximum: f64,
    per_second: f64,
}

impl QueryCost {
    fn of(answer: &Value) -> Option<Self> {
        let cost = answer.get("extensions")?.get("cost")?;
        let status = cost.get("throttleStatus")?;
        let number = |value: &Value, name: &str| value.get(name)?.as_f64().filter(|number| *number >= 0.0);
        let requested = number(cost, "requestedQueryCost").or_else(|| number(cost, "actualQueryCost"))?;
        Some(Self {
            requested: requested.max(1.0),
            available: number(status, "currentlyAvailable")?,
            maximum: number(status, "maximumAvailable")?,
            per_second: number(status, "restoreRate").filter(|rate| *rate > 0.0)?,
        })
    }

    /// How long until the budget allows the same request again.
    fn wait(&self) -> Duration {
        self.until(self.requested)
    }

    /// In requests. The pace keeps a tenth of a limit for others: that, and one request, is what to wait for.
    fn usage(&self) -> Usage {
        let enough = (self.maximum * 0.2).max(self.maximum * 0.1 + self.requested).min(self.maximum);
        let reset = self.until(enough);
        Usage::new(self.maximum / self.requested, self.available / self.requested, Some(reset))
    }

    fn until(&self, points: f64) -> Duration {
        Duration::try_from_secs_f64(((points - self.available) / self.per_second).max(0.0)).unwrap_or_default()
    }
}

fn no_cursor(seen: &str) -> Error {
    Error::validation(format!("the server reports another page, but returned no cursor for it: {seen}")).with_hint(
        "select the cursor, `pageInfo { hasNextPage endCursor }`, or name its field: `pagination.cursor_field`",
    )
}

/// The next page begins behind all items with this cursor, also those that did not fit on this page.
fn tied(path: &CursorPath) -> Error {
    let path = path.written();
    Error::integrity(format!("the last two items of a page have the same `{path}`: others may be between the pages"))
        .with_hint("sort the list by a key that is unique, and set `pagination.cursor_path` to it")
}

fn nothing_said(seen: &str, paging: &Paging) -> Error {
    let field = &paging.has_next_field;
    Error::validation(format!("the server does not say whether there is another page: {seen}")).with_hint(format!(
        "set `pagination.has_next_field` to another field; or do not select `{field}`, if a page without a cursor is the last one"
    ))
}

/// The shape of a value: names of members, no values.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| match value {
                Value::Null | Value::Bool(_) => format!("{name}: {value}"),
                _ => name.clone(),
            };
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}

/// How far `names` lead, and what is there.
fn shape_on_the_path(answer: &Value, names: &[String]) -> String {
    let (mut value, mut path) = (answer, Vec::new());
    for name in names {
        match value.get(name) {
            Some(inner) => value = inner,
            None => break,
        }
        path.push(name.as_str());
    }
    format!("`{}` is {}", path.join("."), shape(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_budget_is_given_in_requests_with_the_time_until_the_next_one() {
        let status = json!({"maximumAvailable": 1000.0, "currentlyAvailable": 50.0, "restoreRate": 50.0});
        let cost =
            QueryCost::of(&json!({"extensions": {"cost": {"requestedQueryCost": 100, "throttleStatus": status}}}));
        let cost = cost.unwrap();
        assert_eq!(cost.wait(), Duration::from_secs(1));
        let usage = cost.usage();
        assert_eq!((usage.limit, usage.remaining, usage.reset), (Some(10.0), 0.5, Some(Duration::from_secs(3))));
        assert_eq!(QueryCost::of(&json!({"extensions": {"cost": {"requestedQueryCost": 100}}})), None);
    }

    #[test]
    fn a_shape_tells_names_and_no_values() {
        assert_eq!(
            shape(&json!({"hasNextPage": true, "endCursor": null, "secret": "x"})),
            "{hasNextPage: true, endCursor: null, secret}"
        );
        let names = ["data", "users", "pageInfo"].map(str::to_owned);
        assert_eq!(shape_on_the_path(&json!({"data": {"users": {"nodes": []}}}), &names), "`data.users` is {nodes}");
    }
}

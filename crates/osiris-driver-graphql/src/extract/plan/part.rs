//! Which part of the list of the rows the query itself requests, by arguments other than those of the pagination.

use crate::config::{ExtractorConfig, PageStyle, Paging};
use crate::query::{Effect, Given, Query, Selected};

/// A part of the list of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::extract) struct Part {
    /// The items that are left out before it, besides those that the pagination leaves out; `None` if their number is not known.
    pub(in crate::extract) skipped: Option<u64>,
    /// Whether it may end before the list does.
    pub(in crate::extract) is_limited: bool,
}

impl Part {
    /// The part that the arguments of the list, or of what it is in, request. With pagination a limit is the size of a page.
    pub(super) fn of(query: &Query, config: &ExtractorConfig, paging: Option<&Paging>, rows_at: &[String]) -> Self {
        let mut part = Self { skipped: Some(0), is_limited: false };
        if paging.is_some_and(|paging| starts_at_default(query, config, paging)) {
            part.skipped = None;
        }
        let inner = rows_at.get(1..).unwrap_or_default();
        let fields = (1..=inner.len()).rev().take(2).filter_map(|depth| Selected::at(&query.selected, &inner[..depth]));
        for argument in fields.flat_map(|field| &field.arguments) {
            if paging.is_some_and(|paging| paging.sets(&argument.value)) {
                continue;
            }
            match (argument.effect(&query.value(&argument.value, &config.variables)), paging) {
                (Some(Effect::Skip(items)), _) => {
                    part.skipped = part.skipped.zip(items).map(|(before, items)| before.saturating_add(items));
                }
                (Some(Effect::Size | Effect::Bound), None) => part.is_limited = true,
                (Some(Effect::Bound), Some(_)) => part.skipped = None,
                (Some(Effect::Size), Some(_)) | (None, _) => {}
            }
        }
        part
    }
}

/// Whether the first page begins at a cursor that is the variable's default.
fn starts_at_default(query: &Query, config: &ExtractorConfig, paging: &Paging) -> bool {
    let is_given = paging.style != PageStyle::Cursor || config.variables.contains_key(&paging.variable);
    let default = query.variable(&paging.variable).and_then(|variable| variable.default.as_ref());
    !is_given && default.is_some_and(|default| *default != Given::Null)
}

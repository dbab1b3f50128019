//! Which tables of a connection a group reads.

use std::sync::Arc;

use osiris_core::{Code, NamePattern};

use super::FoundTable;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::Spanned;
use crate::source::{SourceFile, Span};

/// How many names a hint lists.
const MAX_LISTED: usize = 10;

/// A pattern that was parsed.
pub(super) struct Pattern {
    pub(super) text: Spanned<String>,
    excludes: bool,
    names: NamePattern,
}

impl Pattern {
    /// Parses a pattern; `!` before it excludes what it matches.
    ///
    /// # Errors
    /// The pattern is invalid.
    pub(super) fn parse(text: Spanned<String>) -> osiris_core::Result<Self> {
        let (excludes, pattern) = match text.value.strip_prefix('!') {
            Some(pattern) => (true, pattern.trim_start()),
            None => (false, text.value.as_str()),
        };
        let names = NamePattern::new(pattern)?;
        Ok(Self { text, excludes, names })
    }

    pub(super) fn excludes(&self) -> bool {
        self.excludes
    }

    /// A view is read where it is named, not where a pattern happens to fit it.
    fn matches(&self, table: &FoundTable) -> bool {
        let is_meant = self.excludes || !table.is_view || !NamePattern::is_wild(&self.text.value);
        is_meant && table.names().any(|name| self.names.matches(&name))
    }
}

/// The tables of `all` that the patterns mean, each with the place of the pattern that it fits first.
pub(super) fn select(
    patterns: &[Pattern],
    all: &[FoundTable],
    (source, span): (&Arc<SourceFile>, Span),
    diagnostics: &mut Diagnostics,
) -> Vec<(FoundTable, Span)> {
    let excluded = |table: &FoundTable| patterns.iter().any(|pattern| pattern.excludes && pattern.matches(table));
    let wanted = |table: &FoundTable| patterns.iter().find(|pattern| !pattern.excludes && pattern.matches(table));
    let chosen: Vec<(FoundTable, Span)> = all
        .iter()
        .filter(|table| !excluded(table))
        .filter_map(|table| Some((table.clone(), wanted(table)?.text.span)))
        .collect();
    let fits_none = |pattern: &&Pattern| !pattern.excludes && !all.iter().any(|table| pattern.matches(table));
    let without: Vec<&Pattern> = patterns.iter().filter(fits_none).collect();
    for pattern in &without {
        diagnostics.push(no_match(pattern, all, !chosen.is_empty()).at(source, pattern.text.span));
    }
    if chosen.is_empty() && without.is_empty() {
        let error = Diagnostic::error("every table that matches is excluded").with_code(Code::TableNotFound);
        diagnostics.push(error.at(source, span).with_hint(listed(all)));
    }
    chosen
}

/// A name that is not there is a mistake; a pattern may fit nothing today where others fit something.
fn no_match(pattern: &Pattern, all: &[FoundTable], others_match: bool) -> Diagnostic {
    let text = &pattern.text.value;
    let message = format!("no table matches `{text}`");
    let names: Vec<String> = all.iter().flat_map(FoundTable::names).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fits_views = all.iter().any(|table| table.names().any(|name| pattern.names.matches(&name)));
    let hint = match NamePattern::nearest_of(text, &names) {
        _ if fits_views => "it matches views only: a view is read where it is named without `*`".to_owned(),
        Some(nearest) => format!("{nearest}; {}", listed(all)),
        None => listed(all),
    };
    let diagnostic = match others_match && NamePattern::is_wild(text) {
        true => Diagnostic::warning(message),
        false => Diagnostic::error(message).with_code(Code::TableNotFound),
    };
    diagnostic.with_hint(hint)
}

/// What there is.
fn listed(all: &[FoundTable]) -> String {
    let names: Vec<&str> = all.iter().map(|table| table.name.as_str()).take(MAX_LISTED).collect();
    match all.len().saturating_sub(MAX_LISTED) {
        _ if all.is_empty() => "the connection has no tables, or the account has no right to see them".to_owned(),
        0 => format!("the connection has {}", names.join(", ")),
        more => format!("the connection has {} and {more} more", names.join(", ")),
    }
}

//! Diagnostics as text, with the lines they are about.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use osiris_core::secret::mask_by_form;
use osiris_core::{Severity, visible};

use super::mask::{Masked, secret_parts};
use super::{Diagnostic, Diagnostics, Trees};
use crate::source::{SourceFile, Span};

/// The columns of a report where the width of the terminal is unknown: of longer lines the part around the mark is shown.
const WIDTH: usize = 120;

/// All diagnostics, an empty line between two, in so many columns.
pub(super) fn render(diagnostics: &Diagnostics, styled: bool, width: Option<usize>) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() }.term_width(width.unwrap_or(WIDTH));
    let mut trees = Trees::default();
    let reports: Vec<String> =
        diagnostics.items.iter().map(|item| one(diagnostics, item, &renderer, &mut trees)).collect();
    reports.join("\n\n")
}

fn one(diagnostics: &Diagnostics, item: &Diagnostic, renderer: &Renderer, trees: &mut Trees) -> String {
    let level = match item.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let clean = |text: &str| clean(diagnostics, text);
    let mut group = Group::with_title(level.primary_title(clean(&item.message)));
    if let Some((source, span)) = &item.place {
        group = match source.is_value() {
            true => group.element(value_origin(diagnostics, item, source, trees)),
            false => show(group, diagnostics, item, source, *span),
        };
    }
    let Some(hint) = item.hint.as_deref().map(clean) else { return renderer.render(&[group]) };
    let level = Level::HELP.with_name("hint");
    if item.place.is_none() {
        // Below a message without a place there is nothing that a bar could lead to.
        let hint = Group::with_title(level.primary_title(hint));
        return format!("{}\n{}", renderer.render(&[group]), renderer.render(&[hint]));
    }
    renderer.render(&[group.element(level.message(hint))])
}

/// A message that may quote external text: without secrets and terminal control characters.
fn clean(diagnostics: &Diagnostics, text: &str) -> String {
    visible(&diagnostics.redactor.scrub(text)).into_owned()
}

fn show<'a>(
    group: Group<'a>,
    diagnostics: &Diagnostics,
    item: &Diagnostic,
    source: &Arc<SourceFile>,
    span: Span,
) -> Group<'a> {
    let position = source.position(span.start);
    if source.is_confidential() && item.is_unparsed {
        let origin = Origin::path(source.name().to_owned()).line(position.line).char_column(position.column);
        return group.element(origin);
    }
    let window = window(source, span, &item.related);
    let masked = Masked::new(source.slice(window), hidden(diagnostics, item, source, window));
    let place = |span: Span| {
        // A place inside a line break is shown at the end of its line.
        let span = Span::new(span.start.min(window.end), span.end.min(window.end));
        let line_end = source.line(source.position(span.start).line).end;
        let end = span.end.clamp(span.start, line_end.max(span.start));
        let end = span.start + source.slice(Span::new(span.start, end)).trim_end().len();
        let now = masked.span(Span::new(span.start - window.start, end - window.start));
        now.start..now.end
    };
    let label = |text: &str| clean(diagnostics, text);
    let mut primary = AnnotationKind::Primary.span(place(span));
    if let Some(text) = &item.label {
        primary = primary.label(label(text));
    }
    let related = item.related.iter().map(|(span, text)| AnnotationKind::Context.span(place(*span)).label(label(text)));
    let annotations: Vec<_> = std::iter::once(primary).chain(related).collect();
    // Of a text that is no value of the file, such as a comment, only its form is known.
    let scrubbed = diagnostics.redactor.scrub(&masked.text);
    let text = mask_by_form(&scrubbed);
    // Scrubbing may move the marks, but only when a secret stands on the very line: then the line alone is shown.
    let snippet = Snippet::source(text.clone().into_owned())
        .path(source.name().to_owned())
        .line_start(source.position(window.start).line);
    if *text == masked.text {
        group.element(snippet.annotations(annotations))
    } else {
        group.element(origin(source, span))
    }
}

/// Where it is in a value that never was a text.
fn value_origin(
    diagnostics: &Diagnostics,
    item: &Diagnostic,
    source: &SourceFile,
    trees: &mut Trees,
) -> Origin<'static> {
    let path = clean(diagnostics, &trees.path_of(item).unwrap_or_default());
    let separator = if path.is_empty() { "" } else { ": " };
    Origin::path(format!("{}{separator}{path}", source.name()))
}

fn origin(source: &SourceFile, span: Span) -> Origin<'static> {
    let position = source.position(span.start);
    Origin::path(source.name().to_owned()).line(position.line).char_column(position.column)
}

/// The lines that hold the place and all related ones.
fn window(source: &SourceFile, span: Span, related: &[(Span, String)]) -> Span {
    let starts = std::iter::once(span.start).chain(related.iter().map(|(span, _)| span.start));
    let lines = starts.map(|start| source.line(source.position(start).line));
    lines.reduce(Span::to).unwrap_or(span)
}

/// What of the window must not be seen, as offsets into the window.
fn hidden(diagnostics: &Diagnostics, item: &Diagnostic, source: &Arc<SourceFile>, window: Span) -> Vec<Span> {
    let known = diagnostics.masks.iter().filter(|(masked, _)| Arc::ptr_eq(masked, source)).flat_map(|(_, spans)| spans);
    let mut hidden: Vec<Span> = known
        .filter(|span| span.start < window.end && span.end > window.start)
        .map(|span| Span::new(span.start.max(window.start) - window.start, span.end.min(window.end) - window.start))
        .collect();
    if item.is_unparsed {
        let mut start = 0;
        for line in source.slice(window).split_inclusive('\n') {
            hidden.extend(secret_parts(line).iter().map(|part| Span::new(start + part.start, start + part.end)));
            start += line.len();
        }
    }
    hidden
}

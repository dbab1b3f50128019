//! Translates the parser's errors into messages with hints.

use std::sync::Arc;

use osiris_core::Code;
use saphyr_parser::{Event, ScalarStyle, ScanError};

use crate::diagnostic::Diagnostic;
use crate::source::{SourceFile, Span};

/// The diagnostic for an error at byte `offset`. `events` are those before it.
pub(super) fn explain(
    error: &ScanError,
    offset: usize,
    source: &Arc<SourceFile>,
    events: &[(Event<'_>, Span)],
) -> Diagnostic {
    let info = error.info();
    let limit = source.line((source.position(offset).line + 1).min(source.line_count())).end;
    if let Some(tab) = indenting_tab(source, limit, events) {
        return tab;
    }
    let found = source.text()[offset..].chars().next();
    let (message, hint) = words(info, found);
    let hint = unquoted_variable(source, offset).or(hint);
    let end = offset + found.filter(|c| !matches!(c, '\n' | '\r')).map_or(0, char::len_utf8);
    let diagnostic = Diagnostic::error(message).with_code(Code::InvalidYaml);
    let diagnostic = diagnostic.at(source, Span::new(offset, end)).of_unparsed();
    match hint {
        Some(hint) => diagnostic.with_hint(hint),
        None => diagnostic,
    }
}

/// The parser's messages with their translation and hint. Others are passed on unchanged.
fn words(info: &str, found: Option<char>) -> (String, Option<&'static str>) {
    const KNOWN: &[(&str, &str, &str)] = &[
        (
            "mapping values are not allowed",
            "a `:` that does not belong here",
            "quote a string that contains `: `, and check the indentation of this line and the one before it",
        ),
        (
            "expected '-' indicator",
            "this line does not belong to the list above it",
            "indent it like the lines it belongs to; list items begin with `- `",
        ),
        (
            "expected ',' or '}'",
            "a `,` or a `}` is missing before this",
            "quote a string that contains `{`, `}`, `[`, `]` or `,`",
        ),
        (
            "expected ',' or ']'",
            "a `,` or a `]` is missing before this",
            "quote a string that contains `{`, `}`, `[`, `]` or `,`",
        ),
        (
            "expected key",
            "a key is missing here, or the indentation is wrong",
            "write `key: value`, indented like its neighbours",
        ),
        (
            "unexpected end of stream",
            "this quote or bracket is never closed",
            "close it, or double a quote that belongs to the text",
        ),
        (
            "unknown escape character",
            "an unknown escape sequence in a double-quoted string",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        ("invalid trailing content", "something follows the closing quote", "put all of the text into the quotes"),
        ("unknown anchor", "undefined alias: no such anchor", "write `&name` before the value that `*name` repeats"),
        ("recursion limit", "values are nested too deeply", "use fewer levels"),
        (
            "simple key",
            "a key without its `:`, or with a value that begins too far left",
            "write `key: value` on one line, and indent what belongs to it",
        ),
        ("invalid indentation", "the indentation is wrong", "indent this line like its neighbours"),
    ];
    if info.starts_with("unexpected character") {
        let found = found.map_or_else(String::new, |found| format!(" `{found}`"));
        return (format!("a string cannot start with{found} unless it is quoted"), Some("put it in quotes: \"...\""));
    }
    match KNOWN.iter().find(|(pattern, ..)| info.contains(pattern)) {
        Some((_, message, hint)) => ((*message).to_owned(), Some(hint)),
        None => (format!("this is not valid YAML: {info}"), None),
    }
}

/// `{key: ${NAME}}`: the brace of the variable ended the mapping.
fn unquoted_variable(source: &SourceFile, offset: usize) -> Option<&'static str> {
    (source.text()[..offset].ends_with('$') && source.text()[offset..].starts_with('{'))
        .then_some("inside `{...}` and `[...]` a variable must be quoted: \"${NAME}\"")
}

/// The first tab before `limit` that indents something. Tabs inside quoted and block texts are content, those before a
/// comment or on an empty line mean nothing.
pub(super) fn indenting_tab(
    source: &Arc<SourceFile>,
    limit: usize,
    events: &[(Event<'_>, Span)],
) -> Option<Diagnostic> {
    if !source.text().contains('\t') {
        return None;
    }
    let mut texts = events.iter().filter_map(|(event, span)| match event {
        Event::Scalar(_, style, ..) if *style != ScalarStyle::Plain => Some(*span),
        _ => None,
    });
    let mut text = texts.next();
    for line in 1..=source.line_count() {
        let span = source.line(line);
        if span.start >= limit {
            return None;
        }
        while text.is_some_and(|text| text.end <= span.start) {
            text = texts.next();
        }
        let content = source.slice(span);
        let indent = &content[..content.len() - content.trim_start().len()];
        let is_content = text.is_some_and(|text| text.start < span.start + indent.len());
        if let Some(tab) = indent.find('\t')
            && !is_content
            && !content.trim_start().is_empty()
            && !content.trim_start().starts_with('#')
        {
            let tab = span.start + tab;
            return Some(
                Diagnostic::error("a tab in the indentation")
                    .with_code(Code::InvalidYaml)
                    .at(source, Span::new(tab, tab + 1))
                    .with_label("tab")
                    .with_hint("YAML is indented with spaces: replace each tab by two")
                    .of_unparsed(),
            );
        }
    }
    None
}

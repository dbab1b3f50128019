//! From an offset inside a text to its place in the file: an error at byte 20 of `query: |` is shown where it was
//! written.

use super::{Node, NodeKind, Style, Text};
use crate::source::{SourceFile, Span};

impl Node {
    /// The byte of the file that holds byte `offset` of this text. Offsets behind the end lead to the end; for what is
    /// not a text, the answer is its beginning.
    pub fn offset_in_file(&self, source: &SourceFile, offset: usize) -> usize {
        let NodeKind::String(Text { value, style }) = &self.kind else { return self.span.start };
        let (start, raw) = (self.span.start, source.slice(self.span));
        let within = match style {
            Style::Literal | Style::Folded => return block(source, self.span, value, offset),
            Style::Plain => flow(raw, offset, Style::Plain),
            quoted => {
                // Before the quote there may be an anchor or a tag.
                let quote = raw.find(if *quoted == Style::Single { '\'' } else { '"' }).map_or(0, |quote| quote + 1);
                let closing = raw.len().saturating_sub(1).max(quote);
                quote + flow(&raw[quote..closing], offset, *quoted)
            }
        };
        start + within
    }
}

/// Block scalars: each line of the file appears in the text as it is, less its indentation.
fn block(source: &SourceFile, span: Span, value: &str, offset: usize) -> usize {
    let offset = offset.min(value.len());
    let mut at = 0;
    let mut place = span.start;
    for (line, indent) in content_lines(source, span, value) {
        let content = source.slice(Span::new((line.start + indent).min(line.end), line.end));
        if content.is_empty() {
            continue;
        }
        let Some(skipped) = value[at..].find(content) else { continue };
        let start = at + skipped;
        if offset < start {
            return place;
        }
        place = line.start + indent + (offset - start).min(content.len());
        at = start + content.len();
        if offset <= at {
            return place;
        }
    }
    place
}

/// The lines of a block scalar with the width of their indentation, which the first line that is not empty shows.
fn content_lines(source: &SourceFile, span: Span, value: &str) -> Vec<(Span, usize)> {
    let first = source.position(span.start).line;
    let last = source.position(span.end).line;
    let lines: Vec<Span> = (first..=last).map(|line| source.line(line)).collect();
    let spaces = |text: &str| text.len() - text.trim_start_matches(' ').len();
    let written = lines.iter().map(|line| source.slice(*line)).find(|line| !line.trim().is_empty());
    let kept = value.split('\n').find(|line| !line.trim().is_empty()).map_or(0, spaces);
    let indent = written.map_or(0, spaces).saturating_sub(kept);
    lines.into_iter().map(|line| (line, indent)).collect()
}

/// Plain and quoted texts: walks over what was written, counting the bytes that it stands for.
fn flow(raw: &str, offset: usize, style: Style) -> usize {
    let mut written = 0;
    let mut meant = 0;
    while let Some(first) = raw[written..].chars().next() {
        let (width, value) = step(&raw[written..], first, style);
        if meant + value > offset {
            // Inside of a run that stands for itself, the place is exact; an escape is one place.
            return if width == value { written + offset.saturating_sub(meant) } else { written };
        }
        written += width;
        meant += value;
    }
    written
}

/// How many bytes are written at the beginning of `rest`, and how many bytes of text they stand for.
fn step(rest: &str, first: char, style: Style) -> (usize, usize) {
    match first {
        ' ' | '\t' | '\r' | '\n' => folded(rest),
        '\'' if style == Style::Single => (rest.len().min(2), 1),
        '\\' if style == Style::Double => escape(rest),
        other => (other.len_utf8(), other.len_utf8()),
    }
}

/// White space: a run with one line break is one space, with more it is a line break less.
fn folded(rest: &str) -> (usize, usize) {
    let run = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    match rest[..run].matches('\n').count() {
        0 => (1, 1),
        1 => (run, 1),
        breaks => (run, breaks - 1),
    }
}

/// An escape sequence (YAML 1.2.2, section 5.7).
fn escape(rest: &str) -> (usize, usize) {
    let Some(kind) = rest[1..].chars().next() else { return (1, 1) };
    let digits = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        // A line break that stands for nothing, with the indentation behind it.
        '\n' | '\r' => return (1 + rest[1..].len() - rest[1..].trim_start().len(), 0),
        'N' | '_' => return (2, 2),
        'L' | 'P' => return (2, 3),
        other => return (1 + other.len_utf8(), 1),
    };
    let code = rest.get(2..2 + digits).and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
    ((2 + digits).min(rest.len()), code.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::yaml;

    /// Every letter of the text is found where that letter was written.
    #[track_caller]
    fn letters_are_found(yaml: &str, text: &str) {
        let source = Arc::new(SourceFile::from_text("x", yaml));
        let node = yaml::load(&source, &mut Diagnostics::default()).unwrap();
        let node = node.get("q").unwrap();
        assert_eq!(node.as_str(), Some(text));
        for (offset, letter) in text.char_indices().filter(|(_, letter)| letter.is_alphanumeric()) {
            let rest = &source.text()[node.offset_in_file(&source, offset)..];
            assert!(rest.starts_with(letter) || rest.starts_with('\\'), "{letter} at {offset} was placed at {rest:?}");
        }
        assert!(node.offset_in_file(&source, usize::MAX) <= source.text().len());
    }

    #[test]
    fn block_texts_keep_their_lines() {
        letters_are_found("a: 1\nq: |\n  SELECT é,\n    x\n\n  FROM t\nz: 1\n", "SELECT é,\n  x\n\nFROM t\n");
        letters_are_found("q: |-\r\n  SELECT 1\r\n  FROM t\r\n", "SELECT 1\nFROM t");
        letters_are_found("q: |2\n    a\n   b\n", "  a\n b\n");
        letters_are_found("q: |\n\n\n  a\n  b\n", "\n\na\nb\n");
        letters_are_found("q: >\n  one\n  two\n\n  three\n    four\n  five\n", "one two\nthree\n  four\nfive\n");
        letters_are_found("l:\n- q: 1\nq: |+\n a\n a\n ab\n\n\n", "a\na\nab\n\n\n");
    }

    #[test]
    fn flow_texts_are_unfolded_and_unescaped() {
        letters_are_found("q: SELECT é FROM t # c\n", "SELECT é FROM t");
        letters_are_found("q: one\n  two\n\n\n  three\n", "one two\n\nthree");
        letters_are_found("q: 'it''s one\n  two'\n", "it's one two");
        letters_are_found("q: \"a\\tb\\u00e4\\x41 c\\\n   d \\\"e\\\"\n  f\"\n", "a\tbäA cd \"e\" f");
        letters_are_found("q: &anchor \"abc\"\n", "abc");
    }
}

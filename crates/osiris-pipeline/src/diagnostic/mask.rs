//! How a line of a file looks without the texts that must not be shown.

use osiris_core::MASK;
use osiris_core::secret::{is_reference, looks_secret};

use crate::source::Span;

/// A line of a file that could not be parsed, without what stands behind a key that looks secret.
pub(super) fn secret_parts(line: &str) -> Vec<Span> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(colon) = line[from..].find(':').map(|at| from + at) {
        let key = line[..colon].trim_end().trim_end_matches(['"', '\'']);
        let start = key.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).map_or(0, |at| at + 1);
        let start = if line.is_char_boundary(start) { start } else { colon };
        let value = &line[colon + 1..];
        if looks_secret(&key[start.min(key.len())..])
            && !value.trim().is_empty()
            && !is_reference(value.trim().trim_matches(['"', '\'']))
        {
            let begin = colon + 1 + (value.len() - value.trim_start().len());
            parts.push(Span::new(begin, line.trim_end().len()));
            break;
        }
        from = colon + 1;
    }
    parts
}

/// A text with parts replaced by the mask, with a mapping from old to new positions.
pub(super) struct Masked {
    pub(super) text: String,
    segments: Vec<Segment>,
}

/// A segment of the old text and where it went.
struct Segment {
    start: usize,
    now: usize,
    is_mask: bool,
}

impl Masked {
    /// `parts` are bytes of `text`; they may overlap.
    pub(super) fn new(text: &str, mut parts: Vec<Span>) -> Self {
        parts.retain(|part| part.start < part.end && text.get(part.start..part.end).is_some());
        parts.sort();
        let mut masked = Self { text: String::with_capacity(text.len()), segments: Vec::new() };
        let mut at = 0;
        for part in parts.into_iter().filter(|part| part.end > 0) {
            let start = part.start.max(at);
            if part.end <= start {
                continue;
            }
            masked.add(at, &text[at..start], false);
            masked.add(start, MASK, true);
            // A mask over several lines leaves their number as it was.
            masked.text.extend(text[start..part.end].chars().filter(|c| *c == '\n'));
            at = part.end;
        }
        masked.add(at, &text[at..], false);
        masked
    }

    fn add(&mut self, start: usize, text: &str, is_mask: bool) {
        self.segments.push(Segment { start, now: self.text.len(), is_mask });
        self.text.push_str(text);
    }

    /// Where the span is now; inside a masked part it is the mask.
    pub(super) fn span(&self, span: Span) -> Span {
        let start = self.segment(self.segments.partition_point(|segment| segment.start <= span.start));
        let end = self.segment(self.segments.partition_point(|segment| segment.start < span.end));
        let place = |segment: &Segment, offset: usize, masked: usize| {
            segment.now + if segment.is_mask { masked } else { offset.saturating_sub(segment.start) }
        };
        let start = place(start, span.start, 0);
        Span::new(start, place(end, span.end, MASK.len()).max(start))
    }

    /// The segment before `index`: there is always one at the beginning.
    fn segment(&self, index: usize) -> &Segment {
        &self.segments[index.saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unparsed_line_loses_what_stands_behind_a_secret_key() {
        let shown = |line: &str| Masked::new(line, secret_parts(line)).text;
        assert_eq!(shown("  db: {host: h, password: 'x: y, z}"), "  db: {host: h, password: ***");
        assert_eq!(shown("\"token\" : abc  "), "\"token\" : ***  ");
        assert_eq!(shown("password: ${PW}"), "password: ${PW}");
        assert_eq!(shown("url: http://x:y"), "url: http://x:y");
        assert_eq!(shown("ключ_password: тайна"), "ключ_password: ***");
    }

    #[test]
    fn places_move_with_the_text() {
        let masked = Masked::new("a secret b other c", vec![Span::new(2, 8), Span::new(11, 16)]);
        assert_eq!(masked.text, "a *** b *** c");
        let shown = |start, end| {
            let span = masked.span(Span::new(start, end));
            &masked.text[span.start..span.end]
        };
        assert_eq!(shown(0, 1), "a");
        assert_eq!(shown(2, 8), "***");
        assert_eq!(shown(4, 6), "***");
        assert_eq!(shown(9, 10), "b");
        assert_eq!(shown(0, 10), "a *** b");
        assert_eq!(shown(17, 18), "c");
        assert_eq!(shown(18, 18), "");
    }
}

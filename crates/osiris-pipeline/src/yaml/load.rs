//! From the parser's events to a tree, within limits of size, depth and repetition.

use std::collections::HashMap;
use std::sync::Arc;

use osiris_core::Code;
use saphyr_parser::{Event, Parser, ScalarStyle};

use super::scalar::{resolve, shown, style_of};
use super::{Entry, MAX_ALIAS_BYTES, MAX_ALIAS_NODES, MAX_DEPTH, MAX_NODES, Node, NodeKind, Style, syntax};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceFile, Span};

/// Parses one document. Everything that is wrong goes to `diagnostics`; a tree comes back unless the text cannot be
/// read as YAML at all.
pub fn load(source: &Arc<SourceFile>, diagnostics: &mut Diagnostics) -> Option<Node> {
    let events = match collect(source) {
        Ok(events) => events,
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
    };
    let mut builder = TreeBuilder {
        source,
        events,
        next: 0,
        anchors: HashMap::new(),
        open: Vec::new(),
        copies: Copies::default(),
        diagnostics,
    };
    match builder.node(0) {
        Ok(node) => Some(node),
        Err(fatal) => {
            builder.diagnostics.push(*fatal);
            None
        }
    }
}

/// The span of a quoted scalar ends at its closing quote: the parser's goes on over a comment behind it.
fn to_closing_quote(text: &str, span: Span) -> Span {
    let bytes = text.as_bytes().get(span.start..span.end).unwrap_or_default();
    let Some(quote) = bytes.first().copied().filter(|byte| matches!(byte, b'\'' | b'"')) else { return span };
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'\\', _) if quote == b'"' => at += 2,
            (byte, next) if *byte == quote => {
                if quote == b'\'' && next == Some(&quote) {
                    at += 2;
                    continue;
                }
                return Span::new(span.start, span.start + at + 1);
            }
            _ => at += 1,
        }
    }
    span
}

/// The events of the only document's value, with their bytes.
fn collect(source: &Arc<SourceFile>) -> Result<Vec<(Event<'_>, Span)>, Fatal> {
    let bytes = ByteOffsets::new(source.text());
    let mut events = Vec::new();
    let mut documents = 0;
    let mut parser = Parser::new_from_str(source.text());
    while let Some(next) = parser.next_event() {
        let (event, span) =
            next.map_err(|error| Box::new(syntax::explain(&error, bytes.at(error.marker().index()), source, &events)))?;
        let span = Span::new(bytes.at(span.start.index()), bytes.at(span.end.index()));
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    let second = Diagnostic::error("a second document starts here").with_code(Code::InvalidYaml);
                    let hint = "keep one document per file: remove this `---` and what follows";
                    return Err(Box::new(second.at(source, span).with_hint(hint)));
                }
            }
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            event => {
                let span = match &event {
                    Event::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, ..) => {
                        to_closing_quote(source.text(), span)
                    }
                    _ => span,
                };
                events.push((event, span));
            }
        }
        if events.len() > MAX_NODES {
            let message = format!("the file holds more than {MAX_NODES} values");
            return Err(Box::new(Diagnostic::error(message).with_code(Code::InvalidYaml).at(source, span)));
        }
    }
    match syntax::indenting_tab(source, source.text().len(), &events) {
        Some(tab) => Err(Box::new(tab)),
        None => Ok(events),
    }
}

/// From the parser's character indexes to byte offsets.
struct ByteOffsets {
    offsets: Option<Vec<usize>>,
    len: usize,
}

impl ByteOffsets {
    fn new(text: &str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).collect());
        Self { offsets, len: text.len() }
    }

    fn at(&self, index: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.len),
            None => index.min(self.len),
        }
    }
}

/// What the aliases have added so far.
#[derive(Default)]
struct Copies {
    /// How many aliases we are inside of.
    depth: usize,
    /// The outermost of them.
    alias: Span,
    nodes: usize,
    bytes: usize,
}

struct TreeBuilder<'a, 'd> {
    source: &'a Arc<SourceFile>,
    events: Vec<(Event<'a>, Span)>,
    next: usize,
    /// Where the events of an anchor's value begin.
    anchors: HashMap<usize, usize>,
    /// The anchors whose values are being read: an alias to one of them would never end.
    open: Vec<usize>,
    copies: Copies,
    diagnostics: &'d mut Diagnostics,
}

/// Reading cannot go on.
type Fatal = Box<Diagnostic>;

impl TreeBuilder<'_, '_> {
    fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).with_code(Code::InvalidYaml).at(self.source, span)
    }

    fn node(&mut self, depth: usize) -> Result<Node, Fatal> {
        let Some((event, span)) = self.events.get(self.next).cloned() else {
            return Ok(Node { span: Span::default(), kind: NodeKind::Null });
        };
        if depth > MAX_DEPTH {
            return Err(Box::new(self.error(span, format!("values are nested deeper than {MAX_DEPTH} levels"))));
        }
        self.count(&event)?;
        let start = self.next;
        self.next += 1;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.remember(anchor, start);
                let kind = resolve(&text, style_of(style), tag.as_deref()).unwrap_or_else(|message| {
                    self.diagnostics.push(self.error(span, message).with_hint("remove the tag"));
                    NodeKind::Null
                });
                Ok(Node { span, kind })
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", span);
                self.inside(anchor, start, |builder| builder.sequence(span, depth))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", span);
                self.inside(anchor, start, |builder| builder.mapping(span, depth))
            }
            Event::Alias(anchor) => self.alias(anchor, span, depth),
            _ => Ok(Node { span, kind: NodeKind::Null }),
        }
    }

    /// Keeps an alias bomb from going off: what aliases add is counted as it is added.
    fn count(&mut self, event: &Event<'_>) -> Result<(), Fatal> {
        if self.copies.depth == 0 {
            return Ok(());
        }
        self.copies.nodes += 1;
        if let Event::Scalar(text, ..) = event {
            self.copies.bytes += text.len();
        }
        if self.copies.nodes <= MAX_ALIAS_NODES && self.copies.bytes <= MAX_ALIAS_BYTES {
            return Ok(());
        }
        Err(Box::new(
            self.error(
                self.copies.alias,
                format!(
                    "the aliases of this file expand to more than {MAX_ALIAS_NODES} values or {MAX_ALIAS_BYTES} bytes"
                ),
            )
            .with_label("repeated too often")
            .with_hint("write out what is meant; aliases of aliases multiply"),
        ))
    }

    fn remember(&mut self, anchor: usize, start: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, start);
        }
    }

    fn inside(
        &mut self,
        anchor: usize,
        start: usize,
        read: impl FnOnce(&mut Self) -> Result<Node, Fatal>,
    ) -> Result<Node, Fatal> {
        self.remember(anchor, start);
        self.open.push(anchor);
        let node = read(self);
        self.open.pop();
        node
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Node, Fatal> {
        if self.open.contains(&anchor) {
            return Err(Box::new(self.error(span, "the alias is inside the value that it refers to")));
        }
        let Some(start) = self.anchors.get(&anchor).copied() else {
            return Err(Box::new(self.error(span, "undefined alias: no such anchor")));
        };
        let resume = std::mem::replace(&mut self.next, start);
        if self.copies.depth == 0 {
            self.copies.alias = span;
        }
        self.copies.depth += 1;
        let node = self.node(depth);
        self.copies.depth -= 1;
        self.next = resume;
        node
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut items = Vec::new();
        while !matches!(self.events.get(self.next), Some((Event::SequenceEnd, _)) | None) {
            items.push(self.node(depth + 1)?);
        }
        Ok(Node { span: self.close(start), kind: NodeKind::Sequence(items) })
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<Node, Fatal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        while !matches!(self.events.get(self.next), Some((Event::MappingEnd, _)) | None) {
            let key = self.key(depth)?;
            let value = self.node(depth + 1)?;
            let Some((key, key_span)) = key else { continue };
            match seen.get(&key) {
                Some(first) => self.duplicate(&key, key_span, *first),
                None => {
                    seen.insert(key.clone(), key_span);
                    entries.push(Entry { key, key_span, value });
                }
            }
        }
        Ok(Node { span: self.close(start), kind: NodeKind::Mapping(entries) })
    }

    /// The key that comes next; none when it cannot be one, which is reported.
    fn key(&mut self, depth: usize) -> Result<Option<(String, Span)>, Fatal> {
        let scalar = match self.events.get(self.next) {
            Some((Event::Scalar(text, style, ..), span)) => Some((text.to_string(), style_of(*style), *span)),
            _ => None,
        };
        let node = self.node(depth + 1)?;
        let (key, style, span) = match (scalar, &node.kind) {
            (Some(scalar), _) => scalar,
            (None, NodeKind::String(text)) => (text.value.clone(), text.style, node.span),
            _ => {
                self.diagnostics
                    .push(self.error(node.span, format!("a key must be a string, found {}", node.describe())));
                return Ok(None);
            }
        };
        if key == "<<" && style == Style::Plain {
            self.diagnostics.push(
                self.error(span, "merge keys (`<<`) are not part of YAML 1.2")
                    .with_hint("repeat the fields, or use an alias for the whole mapping: `key: *anchor`"),
            );
            return Ok(None);
        }
        Ok(Some((key, span)))
    }

    fn duplicate(&mut self, key: &str, span: Span, first: Span) {
        let line = self.source.position(first.start).line;
        self.diagnostics.push(
            self.error(span, format!("the key `{key}` occurs twice"))
                .with_code(Code::DuplicateName)
                .with_label(format!("first written on line {line}"))
                .with_related(first, "here first")
                .with_hint("keep one of them"),
        );
    }

    fn check_collection_tag(&mut self, tag: Option<&saphyr_parser::Tag>, wanted: &str, span: Span) {
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && tag.suffix == wanted)) {
            self.diagnostics.push(
                self.error(span, format!("the tag `{}` is not supported", shown(tag))).with_hint("remove the tag"),
            );
        }
    }

    /// Steps over the end event; the span reaches to it.
    fn close(&mut self, start: Span) -> Span {
        let end = self.events.get(self.next).map_or(start.end, |(_, span)| span.end);
        self.next += 1;
        let text = self.source.slice(Span::new(start.start, end.max(start.start)));
        Span::new(start.start, start.start + text.trim_end().len())
    }
}

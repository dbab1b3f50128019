//! From a place in the text to the path of the value there, such as `steps[2].config.mode`.

use super::{Node, NodeKind};
use crate::source::Span;

impl Node {
    /// The path of the innermost value, with its key, that holds `span`; empty for the whole.
    pub fn path_to(&self, span: Span) -> String {
        let mut path = String::new();
        self.extend_path(span, &mut path);
        path
    }

    fn extend_path(&self, span: Span, path: &mut String) {
        match &self.kind {
            NodeKind::Mapping(entries) => {
                if let Some(entry) = entries.iter().find(|entry| holds(entry.span(), span)) {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&entry.key);
                    entry.value.extend_path(span, path);
                }
            }
            NodeKind::Sequence(items) => {
                if let Some((index, item)) = items.iter().enumerate().find(|(_, item)| holds(item.span, span)) {
                    path.push_str(&format!("[{index}]"));
                    item.extend_path(span, path);
                }
            }
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::String(_) => {}
        }
    }
}

fn holds(outer: Span, inner: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::source::SourceFile;
    use crate::yaml::load;

    #[test]
    fn a_place_is_named_by_keys_and_positions() {
        let text = "version: 1\nsteps:\n  - id: a\n  - {id: b, config: {mode: x, keys: [k, l]}}\n";
        let tree = load(&Arc::new(SourceFile::from_text("p.yaml", text)), &mut Diagnostics::default()).unwrap();
        let at = |part: &str| {
            let start = text.find(part).unwrap();
            tree.path_to(Span::new(start, start + part.len()))
        };
        assert_eq!(at("1"), "version");
        assert_eq!(at("steps"), "steps");
        assert_eq!(at("b"), "steps[1].id");
        assert_eq!(at("mode"), "steps[1].config.mode");
        assert_eq!(at("mode: x"), "steps[1].config.mode");
        assert_eq!(at("x, keys"), "steps[1].config");
        assert_eq!(at("l]"), "steps[1].config.keys");
        assert_eq!(at(text), "");
    }
}

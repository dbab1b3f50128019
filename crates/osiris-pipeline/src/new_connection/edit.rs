//! The connections file as text, with a connection more. All that is there stays as it is written. Whether the text says what it
//! should is for the caller to check.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::yaml::{Entry, Node, NodeKind};

/// What a level is indented by where the file does not show it.
const INDENT: usize = 2;

/// The file with the connection.
pub(super) fn with_connection(
    text: &str,
    tree: Option<&Node>,
    family: &str,
    alias: &str,
    fields: &Map<String, Value>,
) -> String {
    let fields = Value::Object(fields.clone());
    let top = tree.and_then(Node::as_mapping).unwrap_or_default();
    let Some(connections) = top.iter().find(|entry| entry.key == "connections") else {
        let version = if tree.is_none() { "version: 1\n" } else { "" };
        let added = format!("{version}connections:\n{}", lines(family, &json!({alias: fields}), INDENT));
        return inserted(text, text.len(), &added);
    };
    match connections.value.entry(family) {
        Some(found) => into(text, found, alias, &fields),
        None => into(text, connections, family, &json!({alias: fields})),
    }
}

/// The lines of a connection, for a person to add.
pub(super) fn block(family: &str, alias: &str, fields: &Map<String, Value>) -> String {
    lines(family, &json!({alias: fields}), INDENT)
}

/// The text with `key: value` in the mapping of an entry, after all that is there.
fn into(text: &str, parent: &Entry, key: &str, value: &Value) -> String {
    let entries = parent.value.as_mapping().unwrap_or_default();
    let is_flow = parent.value.as_mapping().is_some() && begins_with(text, &parent.value, ['{']);
    match (entries.last(), is_flow) {
        (Some(last), true) => spliced(text, end_of(text, last), &format!(", {key}: {value}")),
        (None, true) => spliced(text, parent.value.span.start + 1, &format!("{key}: {value}")),
        (Some(last), false) => {
            let indent = column(text, last.key_span.start);
            let at = after_lines(text, end_of(text, last), indent);
            inserted(text, at, &lines(key, value, indent))
        }
        (None, false) => {
            let indent = column(text, parent.key_span.start) + INDENT;
            inserted(text, next_line(text, parent.key_span.end), &lines(key, value, indent))
        }
    }
}

/// Where an entry ends. What has no value ends with its key.
fn end_of(text: &str, entry: &Entry) -> usize {
    entry.key_span.end.max(end_of_value(text, &entry.value))
}

/// Where a value ends: one in brackets with the last of them, any other mapping or list with what is last in it.
fn end_of_value(text: &str, node: &Node) -> usize {
    match &node.kind {
        NodeKind::Null => 0,
        NodeKind::Mapping(_) | NodeKind::Sequence(_) if begins_with(text, node, ['{', '[']) => node.span.end,
        NodeKind::Mapping(entries) => entries.last().map_or(0, |last| end_of(text, last)),
        NodeKind::Sequence(items) => items.last().map_or(0, |last| end_of_value(text, last)),
        _ => node.span.end,
    }
}

fn begins_with<const N: usize>(text: &str, node: &Node, brackets: [char; N]) -> bool {
    text.get(node.span.start..).is_some_and(|rest| rest.starts_with(brackets))
}

/// The beginning of the first line after `end` that does not belong to the entry: comments that are indented more than its key do.
fn after_lines(text: &str, end: usize, indent: usize) -> usize {
    let is_at_line = text[..end.min(text.len())].ends_with('\n');
    let mut at = if is_at_line { end } else { next_line(text, end) };
    loop {
        let line = text[at..].split('\n').next().unwrap_or_default();
        let content = line.trim_start_matches(' ');
        if !content.starts_with('#') || line.len() - content.len() <= indent {
            return at;
        }
        at = next_line(text, at);
    }
}

/// The beginning of the line after the one that `at` is in; the end of a text that has no more.
fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// How many characters of its line stand before `at`.
fn column(text: &str, at: usize) -> usize {
    text[..at].rsplit('\n').next().unwrap_or_default().chars().count()
}

/// `key:` with its value below it, as indented lines. JSON is YAML: values are written as JSON.
fn lines(key: &str, value: &Value, indent: usize) -> String {
    let mut text = String::new();
    let spaces = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let _ = writeln!(text, "{spaces}{key}:");
            fields.iter().for_each(|(key, value)| text.push_str(&lines(key, value, indent + INDENT)));
        }
        value => {
            let _ = writeln!(text, "{spaces}{key}: {value}");
        }
    }
    text
}

/// Whole lines put in at the beginning of a line, with the line ends of the text.
fn inserted(text: &str, at: usize, lines: &str) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let before = if at == 0 || text[..at].ends_with('\n') { "" } else { end };
    spliced(text, at, &format!("{before}{}", lines.replace('\n', end)))
}

fn spliced(text: &str, at: usize, part: &str) -> String {
    format!("{}{part}{}", &text[..at], &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections_file::ConnectionsFile;
    use crate::source::SourceFile;

    /// The file with `@db.new`, which must be read as what was there and it.
    fn added(text: &str) -> String {
        let old = ConnectionsFile::parse(SourceFile::from_text("c.yaml", text)).unwrap();
        let Value::Object(fields) = json!({"host": "h", "port": 1}) else { unreachable!() };
        let edited = with_connection(text, old.tree(), "db", "new", &fields);
        let new = ConnectionsFile::parse(SourceFile::from_text("c.yaml", edited.clone())).unwrap();
        let mut expected = old.connections().clone();
        expected.insert("db", "new", fields);
        assert!(new.connections().iter().eq(expected.iter()), "{edited}");
        edited
    }

    #[test]
    fn u11_a_family_gets_a_connection_and_all_lines_stay() {
        let text = "# mine\nversion: 1\nconnections:\n    db:   # databases\n        a: {host: x}  # first\n        b:\n            host: y # second\n            # about b\n\n    # files\n    files:\n        c: {}\n";
        let lines = "        new:\n          host: \"h\"\n          port: 1\n";
        assert_eq!(added(text), text.replace("            # about b\n", &format!("            # about b\n{lines}")));
    }

    #[test]
    fn u11_a_new_family_comes_last() {
        let text = "connections:\n  files:\n    c:\n      base_dir: /x\n      description: ours\n# the end\n";
        let lines = "  db:\n    new:\n      host: \"h\"\n      port: 1\n";
        assert_eq!(added(text), text.replace("# the end", &format!("{lines}# the end")));
    }

    #[test]
    fn u11_files_of_any_form_are_added_to() {
        for text in [
            "",
            "# nothing\n",
            "version: 1\n",
            "version: 1",
            "connections:\n",
            "connections: # none yet",
            "connections: {}\n",
            "connections: {db: {}}\n",
            "connections: {db: {a: {host: x}}, c: {d: {e: f}}} # flow\n",
            "version: 1\nconnections:\n  db: {a: {host: x}}\n",
            "connections:\n  db:\n  other:\n    a: {}\n",
            "connections:\n  db:\n    a:\nversion: 1\n",
            "connections:\r\n  db:\r\n    a:\r\n      host: x\r\n",
            "connections:\n  db:\n    a:\n      host: x",
            "connections:\n  db:\n    a:\n      host: |\n        x\n        y\n\nversion: 1\n",
            "connections:\n  db:\n    a:\n      list: [1,\n        2]\n      more:\n      - x\n      - y: z\n",
        ] {
            added(text);
        }
    }
}

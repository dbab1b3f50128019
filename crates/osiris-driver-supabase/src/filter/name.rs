//! Names in PostgREST syntax: quoting, and paths to columns.

use osiris_driver_postgres::client::{literal, quote};

/// Names that are reserved as query parameters.
const RESERVED: [&str; 10] =
    ["select", "order", "limit", "offset", "and", "or", "not", "columns", "on_conflict", "apikey"];

/// The context of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// As a query parameter or in a logic tree, where some names are reserved.
    Yes,
    /// In a list of names.
    No,
}

/// A name in PostgREST syntax, quoted if needed.
pub(crate) fn quote_name(name: &str, reserved: Reserved) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_plain = !name.is_empty() && name.chars().all(plain);
    if is_plain && !(reserved == Reserved::Yes && RESERVED.contains(&name)) {
        return name.to_owned();
    }
    quote_text(name)
}

/// A quoted string.
pub(super) fn quote_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A segment of a JSON path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonStep {
    /// Whether the value is read as text: `->>`.
    pub(crate) as_text: bool,
    pub(crate) key: String,
}

/// A column, optionally of an embedded resource, optionally with a JSON path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnPath {
    /// The embedded resources of the path.
    pub(crate) resources: Vec<String>,
    pub(crate) column: String,
    pub(crate) json: Vec<JsonStep>,
}

impl ColumnPath {
    /// A column of the table itself.
    pub(crate) fn of(column: &str) -> Self {
        Self { resources: Vec::new(), column: column.to_owned(), json: Vec::new() }
    }

    /// Whether it is a plain column of the table itself.
    pub(crate) fn is_plain(&self) -> bool {
        self.resources.is_empty() && self.json.is_empty()
    }

    /// Reads `column`, `resource.column`, `column->key->>key`; quoted names may have any characters. Returns the rest.
    pub(super) fn read(text: &str) -> Result<(Self, &str), String> {
        let mut names = Vec::new();
        let (first, mut rest) = read_name(text)?;
        names.push(first);
        while let Some(after) = rest.strip_prefix('.') {
            let (name, left) = read_name(after)?;
            names.push(name);
            rest = left;
        }
        let (json, rest) = read_json(rest)?;
        let column = names.pop().unwrap_or_default();
        Ok((Self { resources: names, column, json }, rest))
    }

    /// Reads a column of the table itself, up to a dot.
    pub(super) fn read_own(text: &str) -> Result<(Self, &str), String> {
        let (column, rest) = read_name(text)?;
        let (json, rest) = read_json(rest)?;
        Ok((Self { resources: Vec::new(), column, json }, rest))
    }

    /// Parses the whole text as a path.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match Self::read(text.trim())? {
            (path, "") => Ok(path),
            (_, rest) => Err(format!("`{text}` is not a column: unexpected `{rest}`")),
        }
    }

    /// In PostgREST syntax.
    pub(crate) fn query(&self) -> String {
        let mut text = String::new();
        for resource in &self.resources {
            text.push_str(&quote_name(resource, Reserved::No));
            text.push('.');
        }
        let reserved = if self.is_plain() { Reserved::Yes } else { Reserved::No };
        text.push_str(&quote_name(&self.column, reserved));
        for step in &self.json {
            text.push_str(if step.as_text { "->>" } else { "->" });
            text.push_str(&quote_name(&step.key, Reserved::No));
        }
        text
    }

    /// In SQL.
    ///
    /// # Errors
    /// For a column of an embedded resource, which SQL does not support.
    pub(crate) fn sql(&self) -> Result<String, String> {
        if !self.resources.is_empty() {
            return Err(format!("`{}` is a column of an embedded resource, which only REST can read", self.query()));
        }
        let mut text = quote(&self.column);
        for step in &self.json {
            text.push_str(if step.as_text { "->>" } else { "->" });
            match step.key.parse::<i32>() {
                Ok(index) => text.push_str(&index.to_string()),
                Err(_) => text.push_str(&literal(&step.key)),
            }
        }
        Ok(text)
    }
}

fn read_json(mut rest: &str) -> Result<(Vec<JsonStep>, &str), String> {
    let mut json = Vec::new();
    while let Some(after) = rest.strip_prefix("->") {
        let (as_text, after) = after.strip_prefix('>').map_or((false, after), |after| (true, after));
        let (key, left) = read_name(after)?;
        json.push(JsonStep { as_text, key });
        rest = left;
    }
    Ok((json, rest))
}

/// A name, quoted or up to the next special character.
pub(super) fn read_name(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '.', ':', '(', ')', '"', '!', '*', '=', '&']).unwrap_or(text.len());
        let end = text.find("->").map_or(end, |arrow| arrow.min(end));
        let (name, rest) = text.split_at(end);
        return match name.trim() {
            "" => Err(format!("missing name before `{text}`")),
            name => Ok((name.to_owned(), rest)),
        };
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if name.is_empty() => return Err("empty name".to_owned()),
            '"' => return Ok((name, &quoted[at + 1..])),
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            c => name.push(c),
        }
    }
    Err(format!("unclosed quote before `{quoted}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written_in_both_languages() {
        for (text, query, sql) in [
            ("id", "id", "\"id\""),
            ("or", "\"or\"", "\"or\""),
            ("\"a.b\"", "\"a.b\"", "\"a.b\""),
            (r#""q\"uote""#, r#""q\"uote""#, "\"q\"\"uote\""),
            ("data->a->>0", "data->a->>0", "\"data\"->'a'->>0"),
            ("data->>\"it's\"", "data->>\"it's\"", "\"data\"->>'it''s'"),
        ] {
            let path = ColumnPath::parse(text).unwrap();
            assert_eq!((path.query().as_str(), path.sql().unwrap().as_str()), (query, sql), "{text}");
            assert_eq!(ColumnPath::parse(&path.query()).unwrap(), path);
        }
        let embedded = ColumnPath::parse("author.name").unwrap();
        assert_eq!(embedded.query(), "author.name");
        assert!(embedded.sql().unwrap_err().contains("embedded"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "a.", "a->", "\"a", "a(b)", "\"\"", "a=b"] {
            assert!(ColumnPath::parse(text).is_err(), "{text}");
        }
    }
}

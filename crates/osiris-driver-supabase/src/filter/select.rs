//! The `select` of a configuration: columns, casts, renames, embedded resources.

use osiris_core::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

use super::name::{ColumnPath, read_name};

/// What to read from each row, in PostgREST syntax: `*`, `id,name`, `price::text`, `full:name`, `data->>key`, or
/// embedded resources such as `author(id,name)`; as one string or as a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Select {
    /// As one string.
    Text(#[schemars(length(min = 1))] String),
    /// As a list.
    List(#[schemars(length(min = 1))] Vec<String>),
}

impl Default for Select {
    fn default() -> Self {
        Self::Text("*".to_owned())
    }
}

/// One part of a `select`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectItem {
    /// The original text.
    pub(crate) text: String,
    /// Its name in the result.
    pub(crate) name: String,
    pub(crate) kind: SelectKind,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SelectKind {
    /// `*`.
    All,
    /// A column, optionally with a JSON path and a cast.
    Column { path: ColumnPath, cast: Option<String> },
    /// An embedded resource.
    Embedded,
    /// An embedded resource whose columns are added to those of the table: `...author(name)`.
    Spread,
}

impl SelectItem {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let item = |name: &str, kind| Ok(Self { text: text.to_owned(), name: name.to_owned(), kind });
        if text == "*" {
            return item("*", SelectKind::All);
        }
        if let Some(spread) = text.strip_prefix("...") {
            return if spread.ends_with(')') {
                item("", SelectKind::Spread)
            } else {
                Err("`...` needs an embedded resource after it".to_owned())
            };
        }
        let (first, rest) = read_name(text)?;
        let (alias, body) = match rest.strip_prefix(':') {
            Some(after) if !after.starts_with(':') => (Some(first.clone()), after.trim_start()),
            _ => (None, text),
        };
        if body.ends_with(')') {
            let (name, inside) = read_name(body)?;
            if inside.starts_with('.') || name.contains('(') || inside == "()" {
                return Err("aggregates are not supported: use `duckdb.processor` in a later step".to_owned());
            }
            return item(&alias.unwrap_or(name), SelectKind::Embedded);
        }
        let (path, rest) = ColumnPath::read(body)?;
        if !path.resources.is_empty() {
            return Err("read a column of another table as an embedded resource: `author(name)`".to_owned());
        }
        let cast = match rest {
            "" => None,
            _ => match rest.strip_prefix("::") {
                Some(cast) if is_type(cast) => Some(cast.trim().to_owned()),
                _ => return Err(format!("unexpected `{rest}`")),
            },
        };
        let own = path.json.last().map_or(&path.column, |step| &step.key).clone();
        item(&alias.unwrap_or(own), SelectKind::Column { path, cast })
    }

    /// In SQL.
    fn sql(&self) -> Result<String, String> {
        match &self.kind {
            SelectKind::All => Ok("*".to_owned()),
            SelectKind::Embedded | SelectKind::Spread => {
                Err(format!("`{}` is an embedded resource, which only REST can read", self.text))
            }
            SelectKind::Column { path, cast } => {
                let value = path.sql()?;
                let value = cast.as_ref().map_or(value.clone(), |cast| format!("({value})::{cast}"));
                Ok(format!("{value} AS {}", osiris_driver_postgres::client::quote(&self.name)))
            }
        }
    }
}

/// The name of a type, optionally with a length, optionally of an array.
fn is_type(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ' ' | '[' | ']' | '.');
    !text.trim().is_empty() && text.chars().all(allowed)
}

impl Select {
    fn texts(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
        }
    }

    fn parts(&self) -> Vec<&str> {
        self.texts().iter().flat_map(|text| split(text)).collect()
    }

    /// All of its problems.
    pub(crate) fn problems(&self, pointer: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for part in self.parts() {
            match SelectItem::parse(part) {
                Ok(item) if !item.name.is_empty() && !seen.insert(item.name.to_lowercase()) => problems.push(
                    Problem::error(pointer, format!("`{}` is named twice", item.name))
                        .with_hint("rename one of them: `other:column`"),
                ),
                Ok(_) => {}
                Err(why) => problems.push(
                    Problem::error(pointer, format!("`{part}` cannot be selected: {why}"))
                        .with_hint("put names with other characters in double quotes"),
                ),
            }
        }
        problems
    }

    /// Its parts; empty if it has problems.
    pub(crate) fn items(&self) -> Vec<SelectItem> {
        self.parts().into_iter().map(SelectItem::parse).collect::<Result<_, _>>().unwrap_or_default()
    }

    /// A list of columns in SQL.
    ///
    /// # Errors
    /// For features that only REST supports.
    pub(crate) fn sql(&self) -> Result<String, String> {
        let columns = self.items().iter().map(SelectItem::sql).collect::<Result<Vec<_>, _>>()?;
        Ok(columns.join(", "))
    }
}

/// Splits at commas outside parentheses and quotes.
pub(super) fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_i32, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_select_are_known_by_kind_and_name() {
        let select =
            Select::Text("id, full:name,price::text,data->a->>b,author:authors!fk(id,books(title)),\"a,b\"".to_owned());
        assert_eq!(select.problems("/select"), []);
        let names: Vec<String> = select.items().into_iter().map(|item| item.name).collect();
        assert_eq!(names, ["id", "full", "price", "b", "author", "a,b"]);
        assert!(select.sql().unwrap_err().contains("embedded"));
        let plain = Select::List(vec!["id".to_owned(), "p:price::numeric".to_owned()]);
        assert_eq!(plain.sql().unwrap(), "\"id\" AS \"id\", (\"price\")::numeric AS \"p\"");
    }

    #[test]
    fn what_cannot_be_selected_is_refused() {
        for text in ["", "a,,b", "a::text;drop", "count()", "price.sum()", "a,a", "...x", "author.name", "\"a"] {
            assert!(!Select::Text(text.to_owned()).problems("/select").is_empty(), "{text}");
        }
    }
}

//! Names with placeholders: `{schema}_{table}` is another name for each table of a group.

use std::borrow::Cow;

use super::FoundTable;

/// The placeholders there are.
pub(crate) const PLACEHOLDERS: [&str; 2] = ["schema", "table"];

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// The text of a field as a template.
pub(super) struct Template<'a>(Vec<Part<'a>>);

impl<'a> Template<'a> {
    /// Splits a text. Only a word in braces is a placeholder; `${...}` is a parameter.
    pub(super) fn new(text: &'a str) -> Self {
        let mut parts = Vec::new();
        let (mut at, mut from) = (0, 0);
        while let Some(start) = text[from..].find('{').map(|found| from + found) {
            let Some(end) = text[start..].find('}').map(|found| start + found) else { break };
            from = start + 1;
            let word = &text[start + 1..end];
            if text[..start].ends_with('$') || !is_word(word) {
                continue;
            }
            parts.push(Part::Text(&text[at..start]));
            parts.push(Part::Placeholder(word));
            (at, from) = (end + 1, end + 1);
        }
        parts.push(Part::Text(&text[at..]));
        Self(parts)
    }

    /// The placeholders, in order.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(|part| match part {
            Part::Placeholder(word) => Some(*word),
            Part::Text(_) => None,
        })
    }

    /// The text for a table, as it would be written. In a path a name is one part of it, whatever it holds.
    pub(super) fn of(&self, table: &FoundTable, is_path: bool) -> String {
        let name = |name: &str| {
            let name = if is_path { part_of_path(name) } else { Cow::Borrowed(name) };
            name.replace("${", "$${")
        };
        let part = |part: &Part<'_>| match part {
            Part::Text(text) => (*text).to_owned(),
            Part::Placeholder("schema") => name(table.schema.as_deref().unwrap_or_default()),
            Part::Placeholder(_) => name(&table.table),
        };
        self.0.iter().map(part).collect()
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn part_of_path(name: &str) -> Cow<'_, str> {
    let is_dots = name.chars().all(|c| c == '.');
    let is_refused = |c: char| matches!(c, '/' | '\\') || c.is_control();
    if !is_dots && !name.contains(is_refused) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(|c| if is_refused(c) || is_dots { '_' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, table: &str) -> FoundTable {
        FoundTable { schema: Some(schema.to_owned()), table: table.to_owned(), ..FoundTable::unknown(true) }
    }

    #[test]
    fn each_placeholder_gets_its_part_of_the_name_and_parameters_stay() {
        let template = Template::new("${params.prefix}{schema}_{table}{}{a b}");
        assert_eq!(template.placeholders().collect::<Vec<_>>(), ["schema", "table"]);
        assert_eq!(template.of(&table("shop", "items"), false), "${params.prefix}shop_items{}{a b}");
        assert_eq!(Template::new("{tabel}").placeholders().collect::<Vec<_>>(), ["tabel"]);
        assert_eq!(Template::new("a{").of(&table("s", "t"), false), "a{");
    }

    #[test]
    fn a_name_is_one_part_of_a_path_and_never_a_parameter() {
        let path = |table: &FoundTable| Template::new("out/{schema}/{table}.csv").of(table, true);
        assert_eq!(path(&table("..", "a/b\\c")), "out/__/a_b_c.csv");
        assert_eq!(path(&table("s", "${x}")), "out/s/$${x}.csv");
        assert_eq!(Template::new("{table}").of(&table("s", "a/b"), false), "a/b");
    }
}

//! The settings of a table writer: the mode, and how differences are handled.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use osiris_core::Problem;

/// What becomes of the rows that are in the table already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// They stay; the new ones are added, in one transaction.
    #[default]
    Append,
    /// Another name for `append`.
    Insert,
    /// They are replaced, all at once.
    Overwrite,
    /// Another name for `overwrite`.
    Replace,
    /// Those with the key of a new row are replaced by it, in one transaction; the others stay.
    Upsert,
}

impl WriteMode {
    /// The mode by its one name: `insert` is `append`, `replace` is `overwrite`.
    #[must_use]
    pub fn canonical(self) -> Self {
        match self {
            Self::Append | Self::Insert => Self::Append,
            Self::Overwrite | Self::Replace => Self::Overwrite,
            Self::Upsert => Self::Upsert,
        }
    }
}

/// What is done with a row whose key is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// The new row replaces the columns that are written.
    #[default]
    Update,
    /// The row that is there stays; the new one is counted as ignored.
    Ignore,
}

/// What is done with several rows of one key in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dedupe {
    /// Refuses them: the step fails.
    #[default]
    Error,
    /// Keeps the last one by `order_by`; the others are counted as ignored.
    Last,
}

/// What happens to columns of the input that the table lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaEvolution {
    /// They are an error.
    #[default]
    Refuse,
    /// They are added to the table, nullable.
    AddColumns,
}

/// One column or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Columns {
    /// One.
    One(#[schemars(length(min = 1))] String),
    /// Several, in order.
    Several(#[schemars(length(min = 1))] Vec<String>),
}

impl Columns {
    /// The names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }

    /// The names of columns that may be missing from the configuration.
    pub fn list(columns: Option<&Self>) -> &[String] {
        columns.map_or(&[], Self::names)
    }
}

/// Which columns of the input are written, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ColumnMapping {
    /// These, to columns of the same names.
    Subset(#[schemars(length(min = 1))] Vec<String>),
    /// These, each to the column of the table that is named.
    Renamed(#[schemars(length(min = 1))] BTreeMap<String, String>),
}

impl ColumnMapping {
    /// The names of the table's columns that are written.
    pub fn targets(&self) -> Vec<&String> {
        match self {
            Self::Subset(names) => names.iter().collect(),
            Self::Renamed(map) => map.values().collect(),
        }
    }
}

/// A problem at `pointer` for each name that comes twice, whatever its case.
pub fn repeated_names<'a>(pointer: &str, names: impl IntoIterator<Item = &'a String>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    names
        .into_iter()
        .filter(|name| !seen.insert(name.to_lowercase()))
        .map(|name| Problem::error(pointer, format!("`{name}` is named twice")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_stands_for_a_list_of_one() {
        let one: Columns = serde_json::from_value(serde_json::json!("id")).unwrap();
        assert_eq!(one.names(), ["id"]);
    }

    #[test]
    fn replace_means_overwrite_and_names_are_compared_without_case() {
        assert_eq!(WriteMode::Replace.canonical(), WriteMode::Overwrite);
        let names = ["a".to_owned(), "b".to_owned(), "A".to_owned()];
        assert_eq!(repeated_names("/columns", &names).len(), 1);
    }
}

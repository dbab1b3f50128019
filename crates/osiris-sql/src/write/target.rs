//! A table that is written to, as a driver has described it.

use osiris_core::Column;

use super::same_name;

/// A table that is written to; `D` is what a driver knows of a column besides.
#[derive(Debug, Clone, Default)]
pub struct TargetTable<D = ()> {
    /// `table`, or what else it is, such as `view`.
    pub kind: String,
    /// Its columns, in order.
    pub columns: Vec<TargetColumn<D>>,
    /// Its primary key and its unique indexes over plain columns.
    pub keys: Vec<Vec<KeyColumn>>,
    /// Tables whose rows would be changed if rows of this one were deleted.
    pub cascades_to: Vec<String>,
}

/// A column of it.
#[derive(Debug, Clone, Default)]
pub struct TargetColumn<D = ()> {
    /// Its name.
    pub name: String,
    /// Its type, as it was declared.
    pub declared: String,
    /// Whether it takes no NULL.
    pub not_null: bool,
    /// Whether it has a value where none is given.
    pub has_default: bool,
    /// Whether the database computes it, and takes no value.
    pub is_generated: bool,
    /// What the driver knows besides.
    pub details: D,
}

/// A column of a key, with the collation by which its values are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// The name of the collation; empty where only the server compares keys.
    pub collation: String,
}

impl From<String> for KeyColumn {
    fn from(name: String) -> Self {
        Self { name, collation: String::new() }
    }
}

impl<D> TargetColumn<D> {
    /// The problem that values of `source` cannot be converted for it.
    pub(super) fn unsuited(&self, source: &Column, why: &str) -> String {
        format!(
            "column `{}` is {}, but column `{}` of the input is {}: {why}",
            self.name, self.declared, source.name, source.column_type
        )
    }
}

impl<D> TargetTable<D> {
    /// The column `name`, else the only one that differs only by case.
    pub fn column(&self, name: &str) -> Option<&TargetColumn<D>> {
        self.columns.iter().find(|column| column.name == name).or_else(|| {
            let mut similar = self.columns.iter().filter(|column| same_name(&column.name, name));
            similar.next().filter(|_| similar.next().is_none())
        })
    }

    /// The key of exactly these columns, in this order.
    pub fn key(&self, names: &[String]) -> Option<Vec<KeyColumn>> {
        let key = self
            .keys
            .iter()
            .find(|key| key.len() == names.len() && key.iter().all(|column| names.contains(&column.name)))?;
        let column = |name: &String| key.iter().find(|column| column.name == *name).cloned();
        names.iter().map(column).collect()
    }

    /// These names as the table has them, as far as it has them.
    pub fn named(&self, names: &[String]) -> Vec<String> {
        names.iter().map(|name| self.column(name).map_or(name, |column| &column.name).clone()).collect()
    }
}

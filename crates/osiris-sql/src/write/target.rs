//! A table that is written to, as a driver has described it.

use super::same_name;

/// A table that is written to.
#[derive(Debug, Clone, Default)]
pub struct TargetTable {
    /// `table`, or what else it is, such as `view`.
    pub kind: String,
    /// Its columns, in order.
    pub columns: Vec<TargetColumn>,
    /// Its primary key and its unique indexes over plain columns.
    pub keys: Vec<Vec<KeyColumn>>,
    /// Tables whose rows would be changed if rows of this one were deleted.
    pub cascades_to: Vec<String>,
}

/// A column of it.
#[derive(Debug, Clone, Default)]
pub struct TargetColumn {
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
}

/// A column of a key, with the collation by which its values are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// The name of the collation.
    pub collation: String,
}

impl TargetTable {
    /// A column by its name, whose case does not matter.
    pub fn column(&self, name: &str) -> Option<&TargetColumn> {
        self.columns.iter().find(|column| same_name(&column.name, name))
    }

    /// The key of exactly these columns, in this order.
    pub fn key(&self, names: &[String]) -> Option<Vec<KeyColumn>> {
        let key = self.keys.iter().find(|key| {
            key.len() == names.len() && key.iter().all(|column| names.iter().any(|name| same_name(name, &column.name)))
        })?;
        let column = |name: &String| key.iter().find(|column| same_name(name, &column.name)).cloned();
        names.iter().map(column).collect()
    }
}

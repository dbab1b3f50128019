//! How the members of a row become columns.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::ColumnType;

/// Whether a column is kept, by its name.
pub type ColumnFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// How an object inside of a row is stored. Arrays are always kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nested {
    /// It is kept as JSON, its text unchanged.
    Json,
    /// Its members become columns `a.b`.
    Flatten {
        /// The separator between the names. Default `.`.
        separator: String,
        /// How many levels are flattened; deeper objects are kept as JSON. Default: all.
        depth: Option<usize>,
    },
    /// The members that are named become columns `a.b`, whatever the rows hold: a member without members in the tree is
    /// one column, in which an object is kept as JSON. So is a member that the tree does not name.
    Fields {
        /// The separator between the names.
        separator: String,
        /// The members of a row.
        fields: FieldTree,
    },
}

/// The names of the members of an object, and of those inside of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldTree(BTreeMap<String, FieldTree>);

impl FieldTree {
    /// The members of the object `name`, if it is one whose members are named.
    pub(super) fn inside(&self, name: &str) -> Option<&Self> {
        self.0.get(name).filter(|inside| !inside.0.is_empty())
    }
}

impl<S: Into<String>> FromIterator<(S, FieldTree)> for FieldTree {
    /// A tree of names, each with those inside of it; an empty tree for a member that is one column.
    fn from_iter<I: IntoIterator<Item = (S, FieldTree)>>(fields: I) -> Self {
        let mut tree = Self::default();
        for (name, inside) in fields {
            tree.0.entry(name.into()).or_default().0.extend(inside.0);
        }
        tree
    }
}

/// How rows become columns.
#[derive(Clone)]
pub struct RowOptions {
    pub(super) nested: Nested,
    pub(super) columns: Vec<(String, ColumnType)>,
    pub(super) types: Vec<(String, ColumnType)>,
    pub(super) names: Vec<String>,
    pub(super) embedded: Vec<String>,
    pub(super) filter: Option<ColumnFilter>,
    pub(super) batch_bytes: usize,
}

impl RowOptions {
    /// The default options.
    pub fn new() -> Self {
        Self {
            nested: Nested::Flatten { separator: ".".to_owned(), depth: None },
            columns: Vec::new(),
            types: Vec::new(),
            names: Vec::new(),
            embedded: Vec::new(),
            filter: None,
            batch_bytes: 8 << 20,
        }
    }

    /// How objects inside of rows are stored. Default: flattened, with dots.
    #[must_use]
    pub fn with_nested(mut self, nested: Nested) -> Self {
        self.nested = nested;
        self
    }

    /// Columns that always exist, first and in this order, with their types. A value that does not fit widens its
    /// column without loss. Integers, floating point numbers, decimals, dates, times and timestamps are read from
    /// strings as well; types without a form in JSON are stored as text.
    #[must_use]
    pub fn with_columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = (S, ColumnType)>) -> Self {
        self.columns = columns.into_iter().map(|(name, column_type)| (name.into(), column_type)).collect();
        self
    }

    /// The types of columns, which stand where the rows bring them; those that no row has come last. Values are read as for
    /// [`with_columns`](Self::with_columns); [`RowDecoder::check`](super::RowDecoder::check) refuses those that do not fit.
    #[must_use]
    pub fn with_types<S: Into<String>>(mut self, types: impl IntoIterator<Item = (S, ColumnType)>) -> Self {
        self.types = types.into_iter().map(|(name, column_type)| (name.into(), column_type)).collect();
        self
    }

    /// The columns of rows that are arrays.
    #[must_use]
    pub fn with_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// A member that holds JSON in a string: an object in it is treated like a nested object.
    #[must_use]
    pub fn with_embedded(mut self, name: impl Into<String>) -> Self {
        self.embedded.push(name.into());
        self
    }

    /// Which columns are kept, by their full names. Default: all.
    #[must_use]
    pub fn with_filter(mut self, filter: ColumnFilter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// About how large a batch becomes, in bytes. Default 8 MiB.
    #[must_use]
    pub fn with_batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }
}

impl Default for RowOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RowOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowOptions")
            .field("nested", &self.nested)
            .field("columns", &self.columns)
            .field("types", &self.types)
            .field("names", &self.names)
            .field("embedded", &self.embedded)
            .field("batch_bytes", &self.batch_bytes)
            .finish_non_exhaustive()
    }
}

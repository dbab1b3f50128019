//! What a driver of something that stands before PostgreSQL (a REST API) needs of the types: how a column of the table is written,
//! without the forms in which this crate thinks of it.

use osiris_core::ColumnType;

use super::convert::{Conversion, conversion};
use super::kind::{CatalogType, Kind};

/// What a column of a table takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnKind(Kind);

impl ColumnKind {
    /// A column of the type that the catalog describes so.
    pub fn of(catalog: &CatalogType<'_>) -> Self {
        Self(catalog.kind())
    }

    /// A column of arrays with elements of this kind.
    #[must_use]
    pub fn array(self) -> Self {
        // The oid of the elements is part of the binary form alone.
        Self(Kind::Array { element: Box::new(self.0), oid: 0 })
    }
}

/// How the values of one column are written: decided once, from its type in the store and its type in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnConversion(pub(super) Conversion);

impl ColumnConversion {
    /// The exact conversion from `source` to `target`.
    ///
    /// # Errors
    /// What to do instead, where there is none.
    pub fn between(source: &ColumnType, target: &ColumnKind) -> Result<Self, String> {
        conversion(source, &target.0).map(Self)
    }

    /// Whether the column is a `numeric`, which rounds where it keeps fewer digits than a value has.
    pub fn is_numeric(&self) -> bool {
        matches!(self.0, Conversion::Numeric(_))
    }
}

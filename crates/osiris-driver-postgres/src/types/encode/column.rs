//! Type support for drivers of a service in front of PostgreSQL (a REST API): how a column of the table is written,
//! without the internal types of this crate.

use osiris_core::ColumnType;

use super::convert::{Conversion, conversion};
use super::kind::{CatalogType, Kind};

/// The type of a table column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnKind(Kind);

impl ColumnKind {
    /// A column with this type of the catalog.
    pub fn of(catalog: &CatalogType<'_>) -> Self {
        Self(catalog.kind())
    }

    /// A column of arrays with elements of this kind.
    #[must_use]
    pub fn array(self) -> Self {
        // The oid of the elements is only part of the binary format.
        Self(Kind::Array { element: Box::new(self.0), oid: 0 })
    }
}

/// How the values of a column are written, decided once from its types in the run store and in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnConversion(pub(super) Conversion);

impl ColumnConversion {
    /// The exact conversion from `source` to `target`.
    ///
    /// # Errors
    /// With advice, if there is none.
    pub fn between(source: &ColumnType, target: &ColumnKind) -> Result<Self, String> {
        conversion(source, &target.0).map(Self)
    }

    /// Whether the column is a `numeric`, which rounds values with more digits.
    pub fn is_numeric(&self) -> bool {
        matches!(self.0, Conversion::Numeric(_))
    }
}

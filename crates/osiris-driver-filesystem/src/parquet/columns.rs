//! Plans the columns of Parquet files: each value is read exactly, or an error names the column and
//! the setting to use. Where DuckDB reads exactly, nothing is changed.

use osiris_core::store::{StoreTransaction, quote, store_error};
use osiris_core::{Column, ColumnType, Error, Result};

use super::footer::{Footer, WideDecimal};
use super::leaves::{self, Leaf, Shape, Unit};

/// A column of the files.
#[derive(Debug, Clone)]
pub(super) struct FileColumn {
    /// The name in the table.
    pub(super) name: String,
    /// Its quoted name in DuckDB.
    source: String,
    shape: Shape,
    wide: Vec<WideDecimal>,
}

/// The columns of the files, which DuckDB describes as `plain`, and as `in_parts` where it reads an INT96 in its two parts. They
/// get the `names` of the footer: DuckDB has its own for those that differ by case alone.
pub(super) fn of_files(
    footer: &Footer,
    names: &[String],
    plain: Vec<Column>,
    in_parts: Vec<Column>,
) -> Vec<FileColumn> {
    let named = names.len() == plain.len();
    let columns = plain.into_iter().zip(in_parts).enumerate().map(|(index, (plain, in_parts))| {
        let wide: Vec<_> = footer.wide_decimals.iter().filter(|wide| named && wide.root == index).cloned().collect();
        FileColumn {
            name: if named { names[index].clone() } else { plain.name.clone() },
            source: quote(&plain.name),
            shape: Shape {
                plain: plain.column_type,
                in_parts: in_parts.column_type,
                narrowed: wide.iter().any(WideDecimal::scale_fits),
            },
            wide,
        }
    });
    columns.collect()
}

impl FileColumn {
    /// The column as SQL over `from`, once its values were looked at where DuckDB's types are not the store's.
    ///
    /// # Errors
    /// For a value that the type, `stated` or that of the file, cannot hold exactly.
    pub(super) fn expression(
        &self,
        transaction: &StoreTransaction<'_>,
        from: &str,
        stated: Option<&ColumnType>,
    ) -> Result<String> {
        let look = Look { transaction, from, column: self };
        self.check_decimals(&look)?;
        if stated.is_none() && self.shape.has(&|leaf| leaf == Leaf::Unknown) {
            let what = format!("is {}, which cannot be read exactly", self.shape.plain);
            return Err(self.refused(&what, "VARCHAR}` for text"));
        }
        if look.finds(&leaves::wrapped)? {
            return Err(Error::validation(format!(
                "column `{}` has intervals of 2,147,483,648 or more months or days",
                self.name
            ))
            .with_hint("exclude it with `columns`"));
        }
        let value = match stated {
            Some(stated) => self.stated(&look, stated)?,
            None => self.shape.read(&self.source, self.unit(&look)?),
        };
        Ok(format!("{value} AS {}", quote(&self.name)))
    }

    fn check_decimals(&self, look: &Look<'_>) -> Result<()> {
        if let Some(wide) = self.wide.iter().find(|wide| !wide.scale_fits()) {
            return Err(self.too_wide(&format!("is DECIMAL({},{})", wide.precision, wide.scale)));
        }
        let message = "has decimals of more than 38 digits";
        // DuckDB's reader rejects values of more than 128 bits.
        match look.finds(&leaves::too_wide) {
            Ok(false) => Ok(()),
            Ok(true) => Err(self.too_wide(message)),
            Err(error) if !self.wide.is_empty() => Err(self.too_wide(message).with_source(error)),
            Err(error) => Err(error),
        }
    }

    fn too_wide(&self, what: &str) -> Error {
        Error::validation(format!("column `{}` {what}: at most 38 digits can be read exactly", self.name))
            .with_hint("write it as text where the file is created, or exclude it with `columns`")
    }

    /// The unit of its timestamps.
    fn unit(&self, look: &Look<'_>) -> Result<Unit> {
        if !look.finds(&leaves::below_micros)? {
            return Ok(Unit::Micros);
        }
        if self.shape.has(&|leaf| leaf == Leaf::InstantNs) {
            return Err(self.refused(
                "has timestamps with nanoseconds, but only microseconds can be read",
                "TIMESTAMP_NS}` for UTC without a zone or `VARCHAR` for text",
            ));
        }
        if look.finds(&leaves::beyond_nanos)? {
            return Err(self.refused(
                "has timestamps with nanoseconds and years before 1678 or after 2261, which are out of range for TIMESTAMP_NS",
                "VARCHAR}` for text",
            ));
        }
        Ok(Unit::Nanos)
    }

    fn refused(&self, what: &str, instead: &str) -> Error {
        let error = Error::validation(format!("column `{}` {what}", self.name));
        if self.shape.is_nested() {
            return error
                .with_hint("exclude it with `columns`, or write it with microseconds where the file is created");
        }
        error.with_hint(format!("set `dtype: {{{}: {instead}, or exclude it with `columns`", self.name))
    }

    /// The column with a configured type.
    fn stated(&self, look: &Look<'_>, stated: &ColumnType) -> Result<String> {
        use ColumnType as T;
        if self.shape.is_nested() {
            return Err(Error::validation(format!("`dtype` sets a type for the nested column `{}`", self.name))
                .with_hint("remove it from `dtype`, and convert it in SQL"));
        }
        let value = &self.source;
        let exact = |inexact: bool, sql: String| if inexact { Err(self.not_exact(stated)) } else { Ok(sql) };
        match (self.shape.leaf(), stated) {
            (Some(Leaf::Int96), T::Timestamp) => {
                exact(look.finds(&leaves::below_micros)?, leaves::timestamp(value, Unit::Micros))
            }
            (Some(Leaf::Int96), T::TimestampNs) => {
                exact(look.finds(&leaves::beyond_nanos)?, leaves::timestamp(value, Unit::Nanos))
            }
            (Some(Leaf::Int96), T::Varchar) => Ok(leaves::text(value)),
            (Some(Leaf::InstantNs), T::Instant) => {
                exact(look.finds(&leaves::below_micros)?, self.shape.read(value, Unit::Micros))
            }
            (Some(Leaf::InstantNs), T::TimestampNs) => exact(look.finds(&leaves::infinite)?, leaves::in_utc(value)),
            (Some(Leaf::InstantNs), T::Varchar) => {
                exact(look.finds(&leaves::infinite)?, format!("CAST({} AS VARCHAR) || '+00'", leaves::in_utc(value)))
            }
            (Some(Leaf::Int96 | Leaf::InstantNs), _) => Err(self.not_exact(stated)),
            (_, T::Instant) if self.shape.plain != T::Other("TIMESTAMP WITH TIME ZONE".to_owned()) => {
                Err(self.not_exact(stated))
            }
            (_, T::Instant) => Ok(value.clone()),
            _ => {
                let sql = stated.sql();
                let back = format!("TRY_CAST(TRY_CAST({value} AS {sql}) AS {})", self.shape.plain);
                exact(look.holds(&format!("{back} IS DISTINCT FROM {value}"))?, format!("CAST({value} AS {sql})"))
            }
        }
    }

    fn not_exact(&self, stated: &ColumnType) -> Error {
        let stated = if *stated == ColumnType::Instant { "TIMESTAMPTZ".to_owned() } else { stated.to_string() };
        Error::validation(format!("column `{}` has values that {stated} cannot hold exactly", self.name))
            .with_hint("set another type in `dtype`, such as VARCHAR, or convert the column in SQL")
    }
}

/// Checks the values of a column.
struct Look<'a> {
    transaction: &'a StoreTransaction<'a>,
    from: &'a str,
    column: &'a FileColumn,
}

impl Look<'_> {
    /// Whether a leaf of any value matches `test`.
    fn finds(&self, test: &dyn Fn(Leaf, &str) -> Option<String>) -> Result<bool> {
        self.column.shape.any(&self.column.source, test).map_or(Ok(false), |condition| self.holds(&condition))
    }

    /// Whether any row matches the condition.
    fn holds(&self, condition: &str) -> Result<bool> {
        let sql = format!("SELECT coalesce(bool_or({condition}), false) FROM {}", self.from);
        self.transaction
            .connection()
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| store_error(error, format!("column `{}` could not be read", self.column.name)))
    }
}

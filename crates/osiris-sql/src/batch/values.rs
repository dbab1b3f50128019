//! The values of a column in the making, by the type that they have in the store.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use osiris_core::ColumnType;

use super::texts;

/// A builder for each type that databases without narrower ones need.
#[derive(Debug)]
#[non_exhaustive]
pub enum Values {
    /// BOOLEAN.
    Boolean(BooleanBuilder),
    /// BIGINT.
    Integer(Int64Builder),
    /// DOUBLE.
    Real(Float64Builder),
    /// DECIMAL, in units of its scale.
    Decimal(Decimal128Builder),
    /// Text as bytes, whose encoding is checked at the end.
    Text(BinaryBuilder),
    /// BLOB.
    Blob(BinaryBuilder),
    /// DATE.
    Date(Date32Builder),
    /// TIME.
    Time(Time64MicrosecondBuilder),
    /// TIMESTAMP, or an instant in UTC.
    Timestamp(TimestampMicrosecondBuilder),
}

macro_rules! each {
    ($values:expr, $builder:ident => $result:expr) => {
        match $values {
            Values::Boolean($builder) => $result,
            Values::Integer($builder) => $result,
            Values::Real($builder) => $result,
            Values::Decimal($builder) => $result,
            Values::Text($builder) => $result,
            Values::Blob($builder) => $result,
            Values::Date($builder) => $result,
            Values::Time($builder) => $result,
            Values::Timestamp($builder) => $result,
        }
    };
}

impl Values {
    /// None yet, of a column of this type; of one that is not among these, as text.
    pub fn of(column_type: &ColumnType) -> Self {
        use ColumnType as T;
        let data_type = column_type.arrow();
        match column_type {
            T::Boolean => Self::Boolean(BooleanBuilder::new()),
            T::BigInt => Self::Integer(Int64Builder::new()),
            T::Double => Self::Real(Float64Builder::new()),
            T::Decimal(..) => Self::Decimal(Decimal128Builder::new().with_data_type(data_type)),
            T::Blob => Self::Blob(BinaryBuilder::new()),
            T::Date => Self::Date(Date32Builder::new()),
            T::Time => Self::Time(Time64MicrosecondBuilder::new()),
            T::Timestamp | T::Instant => Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(data_type)),
            _ => Self::Text(BinaryBuilder::new()),
        }
    }

    /// Adds a NULL.
    pub fn push_null(&mut self) {
        each!(self, values => values.append_null());
    }

    /// Returns the values so far and leaves none.
    ///
    /// # Errors
    /// The index of a text that is not UTF-8.
    pub fn finish(&mut self) -> Result<ArrayRef, usize> {
        if let Self::Text(values) = self {
            return Ok(Arc::new(texts(values.finish())?));
        }
        Ok(each!(self, values => Arc::new(values.finish()) as ArrayRef))
    }
}

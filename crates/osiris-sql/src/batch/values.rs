//! The values of a column in the making, by the Arrow type of the column.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder,
    UInt32Builder, UInt64Builder,
};
use arrow::datatypes::DataType;

use super::texts;

/// A builder for each type that a database may need.
#[derive(Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named like the types of Arrow")]
pub enum Values {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt8(UInt8Builder),
    UInt16(UInt16Builder),
    UInt32(UInt32Builder),
    UInt64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    /// In units of the scale.
    Decimal(Decimal128Builder),
    /// Text as bytes, whose encoding is checked at the end.
    Text(BinaryBuilder),
    Blob(BinaryBuilder),
    /// 16 bytes.
    Uuid(FixedSizeBinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    /// A timestamp, or an instant in UTC.
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
}

macro_rules! each {
    ($values:expr, $builder:ident => $result:expr) => {
        match $values {
            Values::Boolean($builder) => $result,
            Values::Int8($builder) => $result,
            Values::Int16($builder) => $result,
            Values::Int32($builder) => $result,
            Values::Int64($builder) => $result,
            Values::UInt8($builder) => $result,
            Values::UInt16($builder) => $result,
            Values::UInt32($builder) => $result,
            Values::UInt64($builder) => $result,
            Values::Float32($builder) => $result,
            Values::Float64($builder) => $result,
            Values::Decimal($builder) => $result,
            Values::Text($builder) => $result,
            Values::Blob($builder) => $result,
            Values::Uuid($builder) => $result,
            Values::Date($builder) => $result,
            Values::Time($builder) => $result,
            Values::Timestamp($builder) => $result,
            Values::Interval($builder) => $result,
        }
    };
}

impl Values {
    /// None yet, of a column of this type; of one that is not among these, as text.
    pub fn new(data_type: &DataType) -> Self {
        Self::with_capacity(data_type, 0, 0)
    }

    /// Reserves space for this many values and bytes.
    fn with_capacity(data_type: &DataType, rows: usize, bytes: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::Int8 => Self::Int8(Int8Builder::with_capacity(rows)),
            DataType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            DataType::UInt8 => Self::UInt8(UInt8Builder::with_capacity(rows)),
            DataType::UInt16 => Self::UInt16(UInt16Builder::with_capacity(rows)),
            DataType::UInt32 => Self::UInt32(UInt32Builder::with_capacity(rows)),
            DataType::UInt64 => Self::UInt64(UInt64Builder::with_capacity(rows)),
            DataType::Float32 => Self::Float32(Float32Builder::with_capacity(rows)),
            DataType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            DataType::Decimal128(..) => {
                Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(data_type.clone()))
            }
            DataType::Binary => Self::Blob(BinaryBuilder::with_capacity(rows, bytes)),
            DataType::FixedSizeBinary(16) => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(rows, 16)),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(rows)),
            DataType::Time64(_) => Self::Time(Time64MicrosecondBuilder::with_capacity(rows)),
            DataType::Timestamp(..) => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(data_type.clone()))
            }
            DataType::Interval(_) => Self::Interval(IntervalMonthDayNanoBuilder::with_capacity(rows)),
            _ => Self::Text(BinaryBuilder::with_capacity(rows, bytes)),
        }
    }

    /// Adds a NULL.
    pub fn push_null(&mut self) {
        each!(self, values => values.append_null());
    }

    /// Returns the values so far and leaves none, with the same capacity.
    ///
    /// # Errors
    /// The index of a text that is not UTF-8.
    pub fn finish(&mut self) -> Result<ArrayRef, usize> {
        let array = each!(self, values => Arc::new(values.finish()) as ArrayRef);
        let bytes = array.as_binary_opt::<i32>().map_or(0, |array| array.value_data().len());
        let is_text = matches!(self, Self::Text(_));
        let data_type = if is_text { &DataType::Utf8 } else { array.data_type() };
        *self = Self::with_capacity(data_type, array.len(), bytes);
        match array.as_binary_opt() {
            Some(bytes) if is_text => Ok(Arc::new(texts(bytes.clone())?)),
            _ => Ok(array),
        }
    }
}

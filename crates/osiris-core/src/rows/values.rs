//! The values of a column in memory, of one type at a time, and the Arrow array that they become.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::error::ArrowError;

use super::column::Value;
use super::number::{Exact, Number, exact_double, exact_float};
use super::temporal;
use crate::ColumnType;

/// The values of a column since its last batch.
#[derive(Default)]
pub(super) enum Values {
    #[default]
    None,
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Double(Vec<f64>),
    Decimal(Vec<i128>),
    Text {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
    },
    Micros(Vec<i64>),
    Days(Vec<i32>),
}

/// Whether a text is a number as JSON writes it.
fn is_number(text: &str) -> bool {
    let mut cursor = super::cursor::Cursor::new(text);
    cursor.number().is_ok_and(|number| number.len() == text.len())
}

impl Values {
    pub(super) fn of(column_type: &ColumnType) -> Self {
        use ColumnType as T;
        match column_type {
            T::Boolean => Self::Bool(Vec::new()),
            T::TinyInt | T::SmallInt | T::Integer | T::BigInt | T::UTinyInt | T::USmallInt | T::UInteger => {
                Self::Int(Vec::new())
            }
            T::Float | T::Double => Self::Double(Vec::new()),
            T::Decimal(..) => Self::Decimal(Vec::new()),
            T::Date => Self::Days(Vec::new()),
            T::Time | T::Timestamp | T::Instant => Self::Micros(Vec::new()),
            _ => Self::Text { offsets: vec![0], bytes: Vec::new() },
        }
    }

    /// What these are as text.
    pub(super) fn texts(values: impl Iterator<Item = impl Display>, valid: &BooleanBufferBuilder) -> Option<Self> {
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for (row, value) in values.enumerate() {
            if valid.get_bit(row) {
                write!(bytes, "{value}").ok()?;
            }
            offsets.push(i32::try_from(bytes.len()).ok()?);
        }
        Some(Self::Text { offsets, bytes })
    }

    /// Makes it as long as `rows`, with placeholders for NULL.
    pub(super) fn resize(&mut self, rows: usize) {
        match self {
            Self::None => {}
            Self::Bool(values) => values.resize(rows, false),
            Self::Int(values) | Self::Micros(values) => values.resize(rows, 0),
            Self::Double(values) => values.resize(rows, 0.0),
            Self::Decimal(values) => values.resize(rows, 0),
            Self::Days(values) => values.resize(rows, 0),
            Self::Text { offsets, bytes } => {
                let last = offsets.get(rows).or(offsets.last()).copied().unwrap_or(0);
                offsets.resize(rows + 1, last);
                bytes.truncate(usize::try_from(last).unwrap_or(0));
            }
        }
    }

    /// Adds a value if the type holds it exactly, and returns how many bytes that took. Only in a `declared` column a
    /// value of another JSON type than that of the column counts as one.
    #[inline]
    pub(super) fn push(&mut self, column_type: &ColumnType, value: Value<'_>, declared: bool) -> Option<usize> {
        match self {
            Self::Text { offsets, bytes } => {
                let before = bytes.len();
                match value {
                    Value::Text(text) if *column_type == ColumnType::Json => write_json_text(text, bytes)?,
                    Value::Number(_) | Value::Bool(_) if *column_type != ColumnType::Json && !declared => return None,
                    Value::Text(text) | Value::Number(text) => bytes.extend_from_slice(text.as_bytes()),
                    Value::Bool(value) => bytes.extend_from_slice(if value { b"true" } else { b"false" }),
                    Value::Json(_) if *column_type != ColumnType::Json => return None,
                    Value::Json(text) => bytes.extend_from_slice(text.as_bytes()),
                }
                let end = i32::try_from(bytes.len()).ok();
                if end.is_none() {
                    bytes.truncate(before);
                }
                offsets.push(end?);
                Some(bytes.len() - before + 4)
            }
            Self::Bool(values) => match value {
                Value::Bool(value) => {
                    values.push(value);
                    Some(1)
                }
                _ => None,
            },
            Self::Int(values) => {
                values.push(integer(column_type, number_text(value, declared)?)?);
                Some(8)
            }
            Self::Double(values) => {
                let text = number_text(value, declared)?;
                let double = match column_type {
                    ColumnType::Float => exact_float(text)?,
                    _ => exact_double(text)?,
                };
                values.push(double);
                Some(8)
            }
            Self::Decimal(values) => {
                let ColumnType::Decimal(precision, scale) = column_type else { return None };
                values.push(Exact::parse(number_text(value, declared)?)?.scaled_to(*precision, *scale)?);
                Some(16)
            }
            Self::Micros(values) => {
                let Value::Text(text) = value else { return None };
                values.push(match column_type {
                    ColumnType::Time => temporal::time_of_day(text)?,
                    ColumnType::Timestamp => temporal::timestamp(text)?,
                    _ => temporal::instant(text)?,
                });
                Some(8)
            }
            Self::Days(values) => {
                let Value::Text(text) = value else { return None };
                values.push(temporal::days(text)?);
                Some(4)
            }
            Self::None => None,
        }
    }

    pub(super) fn into_array(
        self,
        column_type: &ColumnType,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, ArrowError> {
        let array: ArrayRef = match self {
            Self::Bool(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)),
            Self::Int(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Self::Double(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Self::Days(values) => Arc::new(Date32Array::try_new(values.into(), nulls)?),
            Self::Micros(values) if *column_type == ColumnType::Time => {
                Arc::new(Time64MicrosecondArray::try_new(values.into(), nulls)?)
            }
            Self::Micros(values) => {
                let array = TimestampMicrosecondArray::try_new(values.into(), nulls)?;
                return Ok(Arc::new(array.with_data_type(column_type.arrow())));
            }
            Self::Decimal(values) => {
                let array = Decimal128Array::try_new(values.into(), nulls)?;
                return Ok(Arc::new(array.with_data_type(column_type.arrow())));
            }
            Self::Text { offsets, bytes } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls)?)
            }
            Self::None => Arc::new(StringArray::from(Vec::<Option<&str>>::new())),
        };
        if *array.data_type() == column_type.arrow() {
            return Ok(array);
        }
        cast_with_options(&array, &column_type.arrow(), &CastOptions { safe: false, ..CastOptions::default() })
    }
}

/// A number's text, quoted or not.
#[inline]
fn number_text(value: Value<'_>, declared: bool) -> Option<&str> {
    match value {
        Value::Number(text) => Some(text),
        // Only in a column that is declared as one of numbers: APIs quote those that JavaScript would round.
        Value::Text(text) => (declared && is_number(text)).then_some(text),
        _ => None,
    }
}

#[inline]
fn integer(column_type: &ColumnType, text: &str) -> Option<i64> {
    use ColumnType as T;
    let int = match Number::parse(text) {
        Number::Int(int) => int,
        // `1.0` is an integer in another notation.
        Number::Double(_) => i64::try_from(Exact::parse(text)?.scaled_to(38, 0)?).ok()?,
        _ => return None,
    };
    let fits = match column_type {
        T::TinyInt => i8::try_from(int).is_ok(),
        T::SmallInt => i16::try_from(int).is_ok(),
        T::Integer => i32::try_from(int).is_ok(),
        T::UTinyInt => u8::try_from(int).is_ok(),
        T::USmallInt => u16::try_from(int).is_ok(),
        T::UInteger => u32::try_from(int).is_ok(),
        _ => true,
    };
    fits.then_some(int)
}

fn write_json_text(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(bytes, text).ok()
}

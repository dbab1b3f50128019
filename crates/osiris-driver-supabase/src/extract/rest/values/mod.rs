//! Converts JSON strings, and numbers of any length, to the type of the column, with the same result as the direct
//! channel. Never rounds; a value that does not fit is an error with the column.

mod datetime;
mod interval;
mod number;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use osiris_core::{ColumnType, Error, Result};

use crate::config::InfinityPolicy;

pub(super) use datetime::{Timestamp, date, shown_date, shown_timestamp, timestamp};

/// How the values of a column are converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) column_type: ColumnType,
    pub(super) infinity: InfinityPolicy,
}

/// Whether values of this type arrive as text and are converted.
pub(super) fn is_converted(column_type: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        column_type,
        T::Float
            | T::Double
            | T::Decimal(..)
            | T::Date
            | T::Time
            | T::Timestamp
            | T::Instant
            | T::Interval
            | T::Blob
            | T::Uuid
    )
}

/// The error for a value, without the value.
type ConversionError = String;

impl Values {
    /// Converts the column `name` to its type, and returns the number of changed values.
    pub(super) fn convert(&self, name: &str, array: &ArrayRef) -> Result<(ArrayRef, u64)> {
        let Some(texts) = array.as_string_opt::<i32>() else {
            return Err(Error::unknown(format!("column `{name}` has a value in an unexpected format")));
        };
        let mut altered = 0;
        let converted = self.of(texts, &mut altered).map_err(|why| {
            Error::validation(format!("column `{name}` has a value that cannot be read as {}: {why}", self.column_type))
                .with_hint(format!("read it as text: `select: \"{name}::text\"`"))
        })?;
        Ok((converted, altered))
    }

    fn of(&self, texts: &StringArray, altered: &mut u64) -> Result<ArrayRef, ConversionError> {
        use ColumnType as T;
        match &self.column_type {
            T::Float => primitive::<Float32Type>(texts, |text| number::float32(text).map(Some)),
            T::Double => primitive::<Float64Type>(texts, |text| number::float64(text).map(Some)),
            T::Decimal(precision, scale) => {
                let array =
                    primitive::<Decimal128Type>(texts, |text| number::decimal(text, *precision, *scale).map(Some))?;
                retyped(&array, self.column_type.arrow())
            }
            T::Date => primitive::<Date32Type>(texts, |text| self.finite(date(text)?, i32::MAX, altered)),
            T::Timestamp | T::Instant => {
                let array = primitive::<TimestampMicrosecondType>(texts, |text| {
                    self.finite(timestamp(text)?, i64::MAX, altered)
                })?;
                retyped(&array, self.column_type.arrow())
            }
            T::Time => primitive::<Time64MicrosecondType>(texts, |text| datetime::time(text).map(Some)),
            T::Interval => primitive::<IntervalMonthDayNanoType>(texts, |text| interval::parse(text).map(Some)),
            T::Blob => bytes(texts),
            T::Uuid => uuids(texts),
            other => Err(format!("unsupported type {other}")),
        }
    }

    /// A timestamp for the run store, with infinity handled by the policy.
    fn finite<T: Copy + std::ops::Neg<Output = T>>(
        &self,
        moment: Timestamp<T>,
        greatest: T,
        altered: &mut u64,
    ) -> Result<Option<T>, ConversionError> {
        let infinite = match moment {
            Timestamp::At(value) => return Ok(Some(value)),
            Timestamp::Infinity => greatest,
            Timestamp::MinusInfinity => -greatest,
        };
        match self.infinity {
            InfinityPolicy::Keep => Ok(Some(infinite)),
            InfinityPolicy::Null => {
                *altered += 1;
                Ok(None)
            }
            InfinityPolicy::Error => {
                Err("infinite date or timestamp: set `infinity`, or filter out those rows".to_owned())
            }
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(
    texts: &StringArray,
    mut read: impl FnMut(&str) -> Result<Option<T::Native>, ConversionError>,
) -> Result<ArrayRef, ConversionError> {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(texts.len());
    for text in texts {
        match text {
            None => builder.append_null(),
            Some(text) => builder.append_option(read(text)?),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// The same values with a type of the same representation.
fn retyped(array: &ArrayRef, data_type: DataType) -> Result<ArrayRef, ConversionError> {
    let data = array.to_data().into_builder().data_type(data_type);
    data.build().map(arrow::array::make_array).map_err(|error| error.to_string())
}

fn bytes(texts: &StringArray) -> Result<ArrayRef, ConversionError> {
    let mut builder = BinaryBuilder::with_capacity(texts.len(), texts.value_data().len() / 2);
    let mut buffer = Vec::new();
    for text in texts {
        let Some(text) = text else {
            builder.append_null();
            continue;
        };
        let digits = text.strip_prefix("\\x").ok_or("bytes not in hexadecimal format (`bytea_output`)")?;
        buffer.clear();
        hex(digits, &mut buffer).ok_or("invalid hexadecimal digits")?;
        builder.append_value(&buffer);
    }
    Ok(Arc::new(builder.finish()))
}

fn hex(digits: &str, out: &mut Vec<u8>) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    for pair in pairs {
        out.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(())
}

fn uuids(texts: &StringArray) -> Result<ArrayRef, ConversionError> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(texts.len(), 16);
    for text in texts {
        match text {
            None => builder.append_null(),
            Some(text) => {
                let uuid = uuid::Uuid::try_parse(text).map_err(|_| "invalid UUID")?;
                builder.append_value(uuid.as_bytes()).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(Arc::new(builder.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(column_type: ColumnType, infinity: InfinityPolicy, texts: &[Option<&str>]) -> Result<(ArrayRef, u64)> {
        let array: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        Values { column_type, infinity }.convert("c", &array)
    }

    #[test]
    fn infinite_moments_are_kept_left_out_or_refused() {
        let texts = [Some("infinity"), None, Some("2024-01-01T00:00:00+00:00"), Some("-infinity")];
        let (kept, _) = convert(ColumnType::Instant, InfinityPolicy::Keep, &texts).unwrap();
        let kept = kept.as_primitive::<TimestampMicrosecondType>();
        assert_eq!((kept.value(0), kept.value(3), kept.null_count()), (i64::MAX, -i64::MAX, 1));
        let (nulls, altered) = convert(ColumnType::Instant, InfinityPolicy::Null, &texts).unwrap();
        assert_eq!((nulls.null_count(), altered), (3, 2));
        let error = convert(ColumnType::Date, InfinityPolicy::Error, &[Some("infinity")]).unwrap_err();
        assert!(error.message().contains("column `c`"), "{error:?}");
    }

    #[test]
    fn bytes_and_uuids_are_exact_and_nothing_else_is_taken_for_them() {
        let (bytes, _) =
            convert(ColumnType::Blob, InfinityPolicy::Keep, &[Some("\\x00ff"), Some("\\x"), None]).unwrap();
        assert_eq!((bytes.as_binary::<i32>().value(0), bytes.as_binary::<i32>().value(1)), (&[0, 255][..], &[][..]));
        for wrong in ["\\x0", "\\xzz", "00"] {
            assert!(convert(ColumnType::Blob, InfinityPolicy::Keep, &[Some(wrong)]).is_err(), "{wrong}");
        }
        let uuid = "0123e567-e89b-12d3-a456-426614174000";
        let (array, _) = convert(ColumnType::Uuid, InfinityPolicy::Keep, &[Some(uuid)]).unwrap();
        assert_eq!(array.as_fixed_size_binary().value(0)[..2], [0x01, 0x23]);
    }

    #[test]
    fn no_message_holds_a_value() {
        let error = convert(ColumnType::Double, InfinityPolicy::Keep, &[Some("secret-value")]).unwrap_err();
        assert!(!error.report().contains("secret"), "{}", error.report());
    }
}

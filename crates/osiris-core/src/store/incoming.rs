//! From Arrow, as a driver sends it, to what DuckDB's client library takes without losing anything.
//!
//! The library copies most types exactly. The few that it would change or refuse travel as text and are cast by DuckDB
//! on arrival: its casts are exact and fail loudly.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, GenericListArray, IntervalMonthDayNanoArray, MapArray,
    StringArray, StructArray, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Float16Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};

use super::types::{ColumnType, JSON_EXTENSION};
use crate::{Code, Error, Result};

/// The type of the store that a field of Arrow gets.
///
/// # Errors
/// A type without an exact counterpart; the hint says what to send instead.
pub(super) fn column_type(field: &Field) -> Result<ColumnType> {
    let unsupported = |hint: &'static str| {
        Err(Error::validation(format!(
            "column `{}` has the Arrow type {}, which has no exact counterpart",
            field.name(),
            field.data_type()
        ))
        .with_hint(hint))
    };
    Ok(match field.data_type() {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => match extension(field) {
            Some(JSON_EXTENSION) => ColumnType::Json,
            _ => ColumnType::Varchar,
        },
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int8 => ColumnType::TinyInt,
        DataType::Int16 => ColumnType::SmallInt,
        DataType::Int32 => ColumnType::Integer,
        DataType::Int64 => ColumnType::BigInt,
        DataType::UInt8 => ColumnType::UTinyInt,
        DataType::UInt16 => ColumnType::USmallInt,
        DataType::UInt32 => ColumnType::UInteger,
        DataType::UInt64 => ColumnType::UBigInt,
        DataType::Float16 | DataType::Float32 => ColumnType::Float,
        DataType::Float64 => ColumnType::Double,
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => match decimal(*p, *s) {
            Some(decimal) => decimal,
            None => return unsupported("send decimals of more than 38 digits as text"),
        },
        DataType::FixedSizeBinary(16) if extension(field) == Some("arrow.uuid") => ColumnType::Uuid,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            ColumnType::Blob
        }
        DataType::Date32 | DataType::Date64 => ColumnType::Date,
        DataType::Time32(_) | DataType::Time64(_) => ColumnType::Time,
        DataType::Timestamp(TimeUnit::Nanosecond, None) => ColumnType::TimestampNs,
        DataType::Timestamp(_, None) => ColumnType::Timestamp,
        DataType::Timestamp(_, Some(_)) => ColumnType::Instant,
        DataType::Duration(_) | DataType::Interval(_) => ColumnType::Interval,
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            ColumnType::List(Box::new(column_type(item)?))
        }
        DataType::FixedSizeList(item, size) => {
            ColumnType::Array(Box::new(column_type(item)?), u32::try_from(*size).unwrap_or(0))
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|field| Ok((field.name().clone(), column_type(field)?)));
            ColumnType::Struct(fields.collect::<Result<_>>()?)
        }
        DataType::Struct(_) => return unsupported("a struct needs at least one field"),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                ColumnType::Map(Box::new(column_type(&pair[0])?), Box::new(column_type(&pair[1])?))
            }
            _ => return unsupported("a map needs a key and a value"),
        },
        DataType::Dictionary(_, value) => column_type(&field.clone().with_data_type(value.as_ref().clone()))?,
        DataType::RunEndEncoded(_, value) => column_type(&field.clone().with_data_type(value.data_type().clone()))?,
        DataType::Union(..) => return unsupported("send a union as JSON text"),
    })
}

fn extension(field: &Field) -> Option<&str> {
    field.metadata().get("ARROW:extension:name").map(String::as_str)
}

/// A decimal with a negative scale has only more zeros before the point.
fn decimal(precision: u8, scale: i8) -> Option<ColumnType> {
    let (precision, scale) = match u8::try_from(scale) {
        Ok(scale) => (precision.max(scale), scale),
        Err(_) => (precision.checked_add(scale.unsigned_abs())?, 0),
    };
    (precision <= 38).then_some(ColumnType::Decimal(precision, scale))
}

/// An array as it can be inserted into a column of type `target`, with the field that describes it.
///
/// # Errors
/// A value that `target` cannot hold exactly, such as nanoseconds in a TIME.
pub(super) fn insertable(array: &ArrayRef, field: &Field, target: &ColumnType) -> Result<(FieldRef, ArrayRef)> {
    let changed = |array: ArrayRef| (Arc::new(Field::new(field.name(), array.data_type().clone(), true)), array);
    let inexact = |error: arrow::error::ArrowError| {
        Error::validation(format!("column `{}` has a value that {target} cannot hold exactly", field.name()))
            .with_code(Code::ValueDoesNotFit)
            .with_source(error)
    };
    let cast = |to: &DataType| {
        cast_with_options(array, to, &CastOptions { safe: false, ..Default::default() }).map_err(inexact)
    };
    Ok(match array.data_type() {
        DataType::Null => changed(new_null_array(&DataType::Utf8, array.len())),
        DataType::Dictionary(_, value) => {
            let plain = cast(value)?;
            return insertable(&plain, &field.clone().with_data_type(value.as_ref().clone()), target);
        }
        DataType::RunEndEncoded(_, value) => {
            let plain = cast(value.data_type())?;
            return insertable(&plain, &field.clone().with_data_type(value.data_type().clone()), target);
        }
        DataType::Float16 => {
            let wide: Float32Array = array.as_primitive::<Float16Type>().iter().map(|v| v.map(f32::from)).collect();
            changed(Arc::new(wide))
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            changed(cast(&target.arrow())?)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => changed(Arc::clone(array)),
        DataType::Date64 => changed(exactly(array, &DataType::Date32, &cast, &inexact)?),
        DataType::Time32(_) | DataType::Time64(_) => {
            changed(exactly(array, &DataType::Time64(TimeUnit::Microsecond), &cast, &inexact)?)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, None) => changed(Arc::clone(array)),
        DataType::Timestamp(unit, _) => {
            // The zone is only for people: the number is UTC either way.
            let zoneless = arrow_cast_zone_away(array, *unit)?;
            changed(exactly_from(&zoneless, &DataType::Timestamp(TimeUnit::Microsecond, None), &inexact)?)
        }
        DataType::Duration(_) | DataType::Interval(_) => {
            let intervals = cast(&DataType::Interval(IntervalUnit::MonthDayNano))?;
            changed(Arc::new(interval_text(intervals.as_primitive(), field.name())?))
        }
        DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            let plain = cast(&DataType::List(Arc::clone(item)))?;
            let field = field.clone().with_data_type(plain.data_type().clone());
            return insertable(&plain, &field, target);
        }
        DataType::List(item) => {
            let ColumnType::List(target) = target else { return Err(mismatch(field, target)) };
            let lists = array.as_list::<i32>();
            let (item, values) = insertable(lists.values(), item, target)?;
            changed(Arc::new(GenericListArray::<i32>::new(
                item,
                lists.offsets().clone(),
                values,
                lists.nulls().cloned(),
            )))
        }
        DataType::FixedSizeList(item, size) => {
            let ColumnType::Array(target, _) = target else { return Err(mismatch(field, target)) };
            let lists = array.as_fixed_size_list();
            let (item, values) = insertable(lists.values(), item, target)?;
            changed(Arc::new(FixedSizeListArray::new(item, *size, values, lists.nulls().cloned())))
        }
        DataType::Struct(_) => changed(Arc::new(struct_insertable(array.as_struct(), field, target)?)),
        DataType::Map(_, sorted) => {
            let ColumnType::Map(key, value) = target else { return Err(mismatch(field, target)) };
            let maps = array.as_map();
            let entries = map_entries(maps.entries(), key, value)?;
            let item = Arc::new(Field::new("entries", entries.data_type().clone(), false));
            changed(Arc::new(MapArray::new(item, maps.offsets().clone(), entries, maps.nulls().cloned(), *sorted)))
        }
        _ => (Arc::new(field.clone()), Arc::clone(array)),
    })
}

fn struct_insertable(array: &StructArray, field: &Field, target: &ColumnType) -> Result<StructArray> {
    let ColumnType::Struct(targets) = target else { return Err(mismatch(field, target)) };
    let mut fields = Vec::with_capacity(targets.len());
    let mut columns = Vec::with_capacity(targets.len());
    for ((child, column), (_, target)) in array.fields().iter().zip(array.columns()).zip(targets) {
        let (child, column) = insertable(column, child, target)?;
        fields.push(child);
        columns.push(column);
    }
    Ok(StructArray::new(Fields::from(fields), columns, array.nulls().cloned()))
}

/// The pairs of a map: a key is never NULL.
fn map_entries(entries: &StructArray, key: &ColumnType, value: &ColumnType) -> Result<StructArray> {
    let (key_field, keys) = insertable(entries.column(0), &entries.fields()[0], key)?;
    let (value_field, values) = insertable(entries.column(1), &entries.fields()[1], value)?;
    let fields = vec![key_field.as_ref().clone().with_nullable(false), value_field.as_ref().clone()];
    Ok(StructArray::new(Fields::from(fields), vec![keys, values], entries.nulls().cloned()))
}

fn mismatch(field: &Field, target: &ColumnType) -> Error {
    Error::validation(format!("column `{}` changed from {target} to {}", field.name(), field.data_type()))
        .with_code(Code::ColumnsDiffer)
        .with_hint("send every batch with the same schema, or open a widening sender")
}

fn arrow_cast_zone_away(array: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef> {
    let plain = array.to_data().into_builder().data_type(DataType::Timestamp(unit, None)).build();
    Ok(arrow::array::make_array(
        plain.map_err(|error| Error::unknown("a timestamp column could not be read").with_source(error))?,
    ))
}

/// A cast that must be undone without a difference: Arrow's own casts to coarser units cut silently.
fn exactly(
    array: &ArrayRef,
    to: &DataType,
    cast: &dyn Fn(&DataType) -> Result<ArrayRef>,
    inexact: &dyn Fn(arrow::error::ArrowError) -> Error,
) -> Result<ArrayRef> {
    check_round_trip(array, cast(to)?, inexact)
}

fn exactly_from(
    array: &ArrayRef,
    to: &DataType,
    inexact: &dyn Fn(arrow::error::ArrowError) -> Error,
) -> Result<ArrayRef> {
    let converted =
        cast_with_options(array, to, &CastOptions { safe: false, ..Default::default() }).map_err(inexact)?;
    check_round_trip(array, converted, inexact)
}

fn check_round_trip(
    array: &ArrayRef,
    converted: ArrayRef,
    inexact: &dyn Fn(arrow::error::ArrowError) -> Error,
) -> Result<ArrayRef> {
    if array.data_type() == converted.data_type() {
        return Ok(converted);
    }
    let options = CastOptions { safe: false, ..Default::default() };
    let back = cast_with_options(&converted, array.data_type(), &options).map_err(inexact)?;
    if back.to_data() == array.to_data() {
        return Ok(converted);
    }
    Err(inexact(arrow::error::ArrowError::CastError("digits beyond microseconds would be lost".into())))
}

/// Intervals as text that DuckDB reads exactly: the client library would turn NULL into zero.
fn interval_text(intervals: &IntervalMonthDayNanoArray, name: &str) -> Result<StringArray> {
    let text = |value: <IntervalMonthDayNanoType as arrow::datatypes::ArrowPrimitiveType>::Native| {
        if value.nanoseconds % 1000 != 0 {
            return Err(Error::validation(format!(
                "column `{name}` has an interval with nanoseconds, INTERVAL holds microseconds"
            ))
            .with_hint("round it at the source, or send it as text"));
        }
        Ok(format!("{} months {} days {} microseconds", value.months, value.days, value.nanoseconds / 1000))
    };
    intervals.iter().map(|value| value.map(text).transpose()).collect()
}

//! Exact JSON text of run store values: numbers with all their digits and never through a float, what JSON has
//! no format for (dates, bytes, NaN) as strings that PostgreSQL reads, JSON unchanged.

use std::convert::Infallible;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use osiris_core::{Column, ColumnType};
use osiris_sql::text::json;
pub use osiris_sql::text::json::string;
use serde::de::IgnoredAny;

use super::text;

/// Appends a value, which may be NULL. `column` is its type in the run store.
///
/// # Errors
/// When the value has no exact form: invalid JSON, or fractional seconds that PostgreSQL would round.
pub fn value(array: &ArrayRef, column: &ColumnType, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match column {
        ColumnType::List(item) => items(&array.as_list::<i32>().value(row), item, out),
        ColumnType::Array(item, _) => items(&array.as_fixed_size_list().value(row), item, out),
        ColumnType::Struct(fields) => {
            let columns = array.as_struct().columns();
            json::object(fields.iter().map(|(name, _)| name), out, |field, out| {
                value(&columns[field], &fields[field].1, row, out)
            })
        }
        ColumnType::Map(key, item) => {
            let map = array.as_map().value(row);
            let names =
                (0..map.len()).map(|entry| key_text(map.column(0), key, entry)).collect::<Result<Vec<_>, _>>()?;
            json::object(names, out, |entry, out| value(map.column(1), item, entry, out))
        }
        ColumnType::Json => checked(array.as_string::<i32>().value(row), out),
        _ => scalar(array, row, out),
    }
}

/// A row for display, with any values.
pub fn shown(batch: &RecordBatch, columns: &[Column], row: usize) -> Option<String> {
    if row >= batch.num_rows() {
        return None;
    }
    let mut out = Vec::new();
    let names = columns.iter().map(|column| &column.name).take(batch.num_columns());
    let written: Result<(), Infallible> = json::object(names, &mut out, |index, out| {
        let (array, start) = (batch.column(index), out.len());
        if value(array, &columns[index].column_type, row, out).is_err() {
            out.truncate(start);
            let text = arrow::util::display::array_value_to_string(array, row).unwrap_or_default();
            string(&text, out);
        }
        Ok(())
    });
    written.ok().and_then(|()| String::from_utf8(out).ok())
}

fn items(array: &ArrayRef, item: &ColumnType, out: &mut Vec<u8>) -> Result<(), String> {
    json::array(array.len(), out, |index, out| value(array, item, index, out))
}

/// The key of a map: the text of a scalar, else JSON.
fn key_text(keys: &ArrayRef, key: &ColumnType, row: usize) -> Result<String, String> {
    let mut name = Vec::new();
    match keys.data_type() {
        DataType::List(_) | DataType::FixedSizeList(..) | DataType::Struct(_) | DataType::Map(..) => {
            value(keys, key, row, &mut name)?;
        }
        _ => text::write(keys, row, &mut name)?,
    }
    Ok(String::from_utf8_lossy(&name).into_owned())
}

fn scalar(array: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    match array.data_type() {
        DataType::Boolean => text::write(array, row, out),
        DataType::Utf8 => {
            string(array.as_string::<i32>().value(row), out);
            Ok(())
        }
        DataType::Float32 | DataType::Float64 => {
            text::write(array, row, out)?;
            if out[start..].iter().any(|byte| matches!(byte, b'N' | b'I')) {
                out.insert(start, b'"');
                out.push(b'"');
            }
            Ok(())
        }
        other if other.is_numeric() => text::write(array, row, out),
        other => {
            if *other == DataType::Timestamp(TimeUnit::Nanosecond, None)
                && array.as_primitive::<TimestampNanosecondType>().value(row) % 1000 != 0
            {
                return Err("fractional seconds exceed the precision of PostgreSQL (6 digits)".to_owned());
            }
            out.push(b'"');
            let before = out.len();
            text::write(array, row, out)?;
            // Only bytes need escaping.
            if out.get(before) == Some(&b'\\') {
                out.insert(before, b'\\');
            }
            out.push(b'"');
            Ok(())
        }
    }
}

fn checked(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Err("invalid JSON".to_owned());
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, Decimal128Array, Float64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
        TimestampNanosecondArray,
    };
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    fn of(array: ArrayRef, column: &ColumnType, row: usize) -> Result<String, String> {
        let mut out = Vec::new();
        value(&array, column, row, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn exact_numbers_are_numbers_and_what_json_lacks_is_a_string() {
        let price = Decimal128Array::from(vec![12_345_678_901_234_567_890_123_456_789_012_345_678]);
        let price = Arc::new(price.with_precision_and_scale(38, 2).unwrap());
        assert_eq!(of(price, &ColumnType::Decimal(38, 2), 0).unwrap(), "123456789012345678901234567890123456.78");
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN), None]));
        let texts: Vec<String> = (0..3).map(|row| of(Arc::clone(&floats), &ColumnType::Double, row).unwrap()).collect();
        assert_eq!(texts, ["0.1", "\"NaN\"", "null"]);
        let bytes = Arc::new(BinaryArray::from(vec![&[0_u8, 255][..]]));
        assert_eq!(of(bytes, &ColumnType::Blob, 0).unwrap(), r#""\\x00ff""#);
        let at = Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("+00:00"));
        assert_eq!(of(at, &ColumnType::Instant, 0).unwrap(), "\"1970-01-01T00:00:00.000001+00:00\"");
        let nanos = Arc::new(TimestampNanosecondArray::from(vec![1]));
        assert!(of(nanos, &ColumnType::TimestampNs, 0).is_err());
    }

    #[test]
    fn nested_values_are_nested_and_json_is_taken_as_it_is() {
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]));
        let name: ArrayRef = Arc::new(StringArray::from(vec!["a \"b\"\n"]));
        let json: ArrayRef = Arc::new(StringArray::from(vec![r#"{"x": 1.50}"#]));
        let field = |array: &ArrayRef, name: &str| Arc::new(Field::new(name, array.data_type().clone(), true));
        let row: ArrayRef = Arc::new(StructArray::from(vec![
            (field(&list, "l"), list),
            (field(&name, "n"), name),
            (field(&json, "j"), json),
        ]));
        let kind = ColumnType::Struct(vec![
            ("l".to_owned(), ColumnType::List(Box::new(ColumnType::Integer))),
            ("n".to_owned(), ColumnType::Varchar),
            ("j".to_owned(), ColumnType::Json),
        ]);
        assert_eq!(of(row, &kind, 0).unwrap(), r#"{"l":[1,null],"n":"a \"b\"\n","j":{"x": 1.50}}"#);
        let broken: ArrayRef = Arc::new(StringArray::from(vec!["{"]));
        assert!(of(broken, &ColumnType::Json, 0).is_err());
    }
}

//! Formats nested values as JSON: fields in the order of the type, exact numbers as numbers, what JSON does not have
//! (dates, bytes, NaN) as strings.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use osiris_sql::text::json;

use super::cell::{ConversionError, cell};
use super::convert::{Conversion, TextRule};

/// Writes a value, which may be NULL.
pub(super) fn write(array: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(_) => items(&array.as_list::<i32>().value(row), out),
        DataType::FixedSizeList(..) => items(&array.as_fixed_size_list().value(row), out),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            json::object(fields.iter().map(|field| field.name()), out, |field, out| write(&columns[field], row, out))
        }
        DataType::Map(..) => {
            let map = array.as_map().value(row);
            let names = (0..map.len()).map(|entry| plain(map.column(0), entry)).collect::<Result<Vec<_>, _>>()?;
            json::object(names, out, |entry, out| write(map.column(1), entry, out))
        }
        _ => scalar(array, row, out),
    }
}

fn items(array: &ArrayRef, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    json::array(array.len(), out, |item, out| write(array, item, out))
}

fn scalar(array: &ArrayRef, row: usize, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    let text = plain(array, row)?;
    let finite = !matches!(text.as_str(), "NaN" | "inf" | "-inf");
    let bare = (array.data_type().is_numeric() && finite) || *array.data_type() == DataType::Boolean;
    if bare {
        out.extend_from_slice(text.as_bytes())
    } else {
        json::string(&text, out)
    }
    Ok(())
}

/// A value as text, without quotes.
pub(super) fn plain(array: &ArrayRef, row: usize) -> Result<String, ConversionError> {
    if array.is_null(row) {
        return Ok("null".to_owned());
    }
    let conversion = match array.data_type() {
        DataType::Boolean => Conversion::Word,
        DataType::Timestamp(..) => Conversion::Timestamp { digits: 9 },
        DataType::Float32 | DataType::Float64 => Conversion::FloatText,
        _ => Conversion::Text(TextRule::Any),
    };
    let mut text = Vec::new();
    let cell = cell(array, &conversion).map_err(|error| ConversionError::from(error.message().to_owned()))?;
    match cell(row, &mut text) {
        Ok(()) => Ok(String::from_utf8_lossy(&text).into_owned()),
        // For display and for JSON, as a string.
        Err(_) => arrow::util::display::array_value_to_string(array, row)
            .map_err(|_| ConversionError::from("a nested value cannot be written as text")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    #[test]
    fn lists_and_structs_are_json() {
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]));
        let price: ArrayRef = Arc::new(Decimal128Array::from(vec![1234]).with_precision_and_scale(10, 2).unwrap());
        let name: ArrayRef = Arc::new(StringArray::from(vec!["a \"b\"\n"]));
        let of = |array: &ArrayRef, name: &str| Arc::new(Field::new(name, array.data_type().clone(), true));
        let row: ArrayRef =
            Arc::new(StructArray::from(vec![(of(&list, "l"), list), (of(&price, "p"), price), (of(&name, "n"), name)]));
        let mut out = Vec::new();
        write(&row, 0, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"l":[1,null],"p":12.34,"n":"a \"b\"\n"}"#);
    }
}

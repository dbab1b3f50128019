//! Encodes text, lists and nested values for columns of any type.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use osiris_core::{ColumnType, Error, Result};

use super::cell::{cell, truth};
use super::convert::Conversion;
use super::text_rules::{self, TextRules};
use super::{Cell, ConversionError, array, datetime, framed, number, numeric, put};
use crate::types::{json, text};

/// Encodes text as a value of the target type.
pub(super) fn from_text(
    value: &str,
    is_json: bool,
    conversion: &Conversion,
    rules: &TextRules,
    out: &mut Vec<u8>,
) -> Result<(), ConversionError> {
    match conversion {
        Conversion::Text { limit } => text_rules::text(value, *limit, rules, out),
        Conversion::Jsonb => jsonb(&rules.clean_json(value), out),
        Conversion::Json | Conversion::Literal => put(rules.clean(value)?.as_bytes(), out),
        Conversion::Uuid => {
            let uuid = uuid::Uuid::try_parse(value).map_err(|_| "invalid UUID")?;
            put(uuid.as_bytes(), out)
        }
        Conversion::Bool => truth(text_rules::truth(value)? == 1, out),
        Conversion::Integer(width) => number::integer(number::integer_text(value)?, *width, out),
        Conversion::Numeric(limit) => numeric::parse(value, *limit, out),
        Conversion::Float4 => {
            number::float4(number::float4_text(value)?, out);
            Ok(())
        }
        Conversion::Float8 => {
            number::float8(number::float_text(value)?, out);
            Ok(())
        }
        Conversion::Date => {
            number::four(datetime::date_text(value)?, out);
            Ok(())
        }
        Conversion::Time { digits } => {
            number::eight(datetime::time_text(value, *digits)?, out);
            Ok(())
        }
        Conversion::Timestamp { digits, zoned } => {
            number::eight(datetime::timestamp_text(value, *digits, *zoned)?, out);
            Ok(())
        }
        Conversion::Bits => text_rules::bits(value, out),
        Conversion::ArrayJson { element, oid } => {
            let json = matches!(**element, Conversion::Json | Conversion::Jsonb);
            array::binary_of_json(value, *oid, json, out, |item, out| from_text(item, false, element, rules, out))
        }
        // The text may already be in the server's format.
        Conversion::ArrayText if !is_json && value.starts_with('{') => put(rules.clean(value)?.as_bytes(), out),
        Conversion::ArrayText => put(rules.clean(&array::text_of_json(value)?)?.as_bytes(), out),
        Conversion::Bytes | Conversion::Interval { .. } | Conversion::Array { .. } => {
            Err("unsupported conversion".into())
        }
    }
}

/// `jsonb` begins with its version, which is 1.
fn jsonb(json: &str, out: &mut Vec<u8>) -> Result<(), ConversionError> {
    if osiris_sql::text::json::has_repeated_key(json) {
        return Err(
            "an object has a key twice, of which jsonb keeps one value: write it to a column of type json".into()
        );
    }
    framed(out, |out| {
        out.push(1);
        out.extend_from_slice(json.as_bytes());
        Ok(())
    })
}

/// Writes a value other than text as text.
pub(super) fn as_text<'a>(values: &'a ArrayRef, column: &'a ColumnType, limit: Option<usize>) -> Cell<'a> {
    Box::new(move |row, out| {
        framed(out, |out| {
            let start = out.len();
            match column {
                ColumnType::List(_) | ColumnType::Array(..) | ColumnType::Struct(_) | ColumnType::Map(..) => {
                    json::value(values, column, row, out)?;
                }
                _ => text::write(values, row, out)?,
            }
            text_rules::fits(&String::from_utf8_lossy(&out[start..]), limit)
        })
    })
}

pub(super) fn list<'a>(
    values: &'a ArrayRef,
    column: &'a ColumnType,
    element: &'a Conversion,
    oid: u32,
    rules: &'a TextRules,
) -> Result<Cell<'a>> {
    let (ColumnType::List(item) | ColumnType::Array(item, _)) = column else {
        return Err(Error::unknown("a column that is not a list cannot be written as a list").with_hint("report a bug"));
    };
    Ok(match values.data_type() {
        DataType::FixedSizeList(..) => {
            let lists = values.as_fixed_size_list();
            let inner = cell(lists.values(), item, element, rules)?;
            let size = usize::try_from(lists.value_length()).unwrap_or(0);
            Box::new(move |row, out| {
                let start = row * size;
                array::binary(lists.values(), start..start + size, oid, &inner, out)
            })
        }
        _ => {
            let lists = values.as_list::<i32>();
            let inner = cell(lists.values(), item, element, rules)?;
            Box::new(move |row, out| {
                let offsets = lists.value_offsets();
                let at = |row: usize| offsets.get(row).and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
                array::binary(lists.values(), at(row)..at(row + 1), oid, &inner, out)
            })
        }
    })
}

pub(super) fn nested<'a>(
    values: &'a ArrayRef,
    column: &'a ColumnType,
    conversion: &'a Conversion,
    rules: &'a TextRules,
) -> Cell<'a> {
    Box::new(move |row, out| {
        let mut text = Vec::new();
        json::value(values, column, row, &mut text)?;
        let text = String::from_utf8(text).map_err(|_| "invalid UTF-8")?;
        match conversion {
            Conversion::Jsonb => jsonb(&rules.clean_json(&text), out),
            Conversion::ArrayJson { .. } | Conversion::ArrayText => from_text(&text, true, conversion, rules, out),
            _ => put(text.as_bytes(), out),
        }
    })
}

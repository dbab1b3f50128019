//! Text, lists and nested values on their way into columns of any kind.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use osiris_core::{ColumnType, Error, Result};

use super::cell::{cell, truth};
use super::convert::Conversion;
use super::words::{self, TextRules};
use super::{Cell, Refusal, array, framed, moment, number, numeric, put};
use crate::types::{json, text};

/// A text as the value that it says.
pub(super) fn from_text(
    value: &str,
    is_json: bool,
    conversion: &Conversion,
    rules: &TextRules,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    match conversion {
        Conversion::Text { limit } => words::text(value, *limit, rules, out),
        Conversion::Jsonb => jsonb(rules.clean_json(value).as_bytes(), out),
        Conversion::Json | Conversion::Literal => put(rules.clean(value)?.as_bytes(), out),
        Conversion::Uuid => {
            let uuid = uuid::Uuid::try_parse(value).map_err(|_| "it is not a UUID")?;
            put(uuid.as_bytes(), out)
        }
        Conversion::Bool => truth(words::truth(value)? == 1, out),
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
            number::four(moment::date_text(value)?, out);
            Ok(())
        }
        Conversion::Time { digits } => {
            number::eight(moment::time_text(value, *digits)?, out);
            Ok(())
        }
        Conversion::Timestamp { digits, zoned } => {
            number::eight(moment::timestamp_text(value, *digits, *zoned)?, out);
            Ok(())
        }
        Conversion::Bits => words::bits(value, out),
        Conversion::ArrayJson { element, oid } => {
            let json = matches!(**element, Conversion::Json | Conversion::Jsonb);
            array::binary_of_json(value, *oid, json, out, |item, out| from_text(item, false, element, rules, out))
        }
        // A text may be in the server's own form already.
        Conversion::ArrayText if !is_json && value.starts_with('{') => put(rules.clean(value)?.as_bytes(), out),
        Conversion::ArrayText => put(rules.clean(&array::text_of_json(value)?)?.as_bytes(), out),
        Conversion::Bytes | Conversion::Interval { .. } | Conversion::Array { .. } => {
            Err("there is no conversion".into())
        }
    }
}

/// A `jsonb` has the number of its form before it, which is 1.
fn jsonb(json: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    framed(out, |out| {
        out.push(1);
        out.extend_from_slice(json);
        Ok(())
    })
}

/// Anything but text as its one text.
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
            words::fits(&String::from_utf8_lossy(&out[start..]), limit)
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
        return Err(Error::unknown("a column that is no list was to be written as one").with_hint("report a bug"));
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
        let text = String::from_utf8(text).map_err(|_| "it is not text")?;
        match conversion {
            Conversion::Jsonb => jsonb(rules.clean_json(&text).as_bytes(), out),
            Conversion::ArrayJson { .. } | Conversion::ArrayText => from_text(&text, true, conversion, rules, out),
            _ => put(text.as_bytes(), out),
        }
    })
}

//! Formats nested values as compact JSON: fields in the order of the type, decimals and large integers as exact
//! numbers, what JSON does not have (dates, bytes) as strings. JSON in them is part of it where the style says so.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use osiris_core::{ColumnType, Error, Result};
use serde::de::IgnoredAny;

use super::Style;
use super::field::Values;

/// Writes a value, which may be NULL.
///
/// # Errors
/// For a type that a scan of the run store never returns; where the style is strict, for NaN, infinity and what no other
/// program takes for JSON.
pub(crate) fn write(array: &ArrayRef, row: usize, style: Style<'static>, out: &mut Vec<u8>) -> Result<()> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(item) => items(&array.as_list::<i32>().value(row), item, style, out),
        DataType::FixedSizeList(item, _) => items(&array.as_fixed_size_list().value(row), item, style, out),
        DataType::Struct(fields) => {
            let members = fields.iter().zip(array.as_struct().columns());
            object(members.map(|(field, column)| (field.name().clone(), column, field, row)), style, out)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values, field) = (entries.column(0), entries.column(1), &entries.fields()[1]);
            let pairs: Result<Vec<_>> =
                (0..entries.len()).map(|entry| Ok((key(keys, entry, style)?, values, field, entry))).collect();
            object(pairs?.into_iter(), style, out)
        }
        _ => scalar(array, row, style, out),
    }
}

/// Writes a value of the field of a nested one.
fn inner(array: &ArrayRef, field: &FieldRef, row: usize, style: Style<'static>, out: &mut Vec<u8>) -> Result<()> {
    if style.strict && array.is_valid(row) && ColumnType::is_json_field(field) {
        return embedded(array.as_string::<i32>().value(row), out);
    }
    write(array, row, style, out)
}

fn items(array: &ArrayRef, field: &FieldRef, style: Style<'static>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    for row in 0..array.len() {
        if row > 0 {
            out.push(b',');
        }
        inner(array, field, row, style, out)?;
    }
    out.push(b']');
    Ok(())
}

fn object<'a>(
    members: impl Iterator<Item = (String, &'a ArrayRef, &'a FieldRef, usize)>,
    style: Style<'static>,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.push(b'{');
    for (index, (name, values, field, row)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(&name, out);
        out.push(b':');
        inner(values, field, row, style, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// A key of a map as text.
fn key(keys: &ArrayRef, row: usize, style: Style<'static>) -> Result<String> {
    let mut text = Vec::new();
    match keys.data_type() {
        DataType::List(_) | DataType::FixedSizeList(..) | DataType::Struct(_) | DataType::Map(..) => {
            write(keys, row, style, &mut text)?;
        }
        _ => Values::new(keys, style)?.write(row, &mut text)?,
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn scalar(array: &ArrayRef, row: usize, style: Style<'static>, out: &mut Vec<u8>) -> Result<()> {
    let values = Values::new(array, style)?;
    let mut text = Vec::new();
    values.write(row, &mut text)?;
    let finite = !matches!(text.as_slice(), b"NaN" | b"inf" | b"-inf");
    if values.is_numeric() && !finite && style.strict {
        return Err(not_finite());
    }
    if (values.is_numeric() && finite) || matches!(values, Values::Boolean(_)) {
        out.extend_from_slice(&text);
    } else {
        string(&String::from_utf8_lossy(&text), out);
    }
    Ok(())
}

/// Writes a text as a string.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    // Memory takes it, and every text has a form.
    let _ = serde_json::to_writer(out, text);
}

/// Writes a text that is JSON, on one line: in JSON, line ends stand between tokens only.
///
/// # Errors
/// For what is JSON to DuckDB, but to no other program.
pub(crate) fn embedded(json: &str, out: &mut Vec<u8>) -> Result<()> {
    // What is ignored may be nested to any depth.
    if serde_json::from_str::<IgnoredAny>(json).is_err() {
        return Err(Error::validation("the JSON has what DuckDB alone accepts: NaN, infinity or a trailing comma")
            .with_hint(
                "in SQL, `json(x)` removes trailing commas, and `CAST(x AS VARCHAR)` makes a string of the JSON",
            ));
    }
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Ok(())
}

/// The error for NaN and infinity where only numbers of JSON may be.
pub(crate) fn not_finite() -> Error {
    Error::validation("NaN and infinity are not numbers of JSON")
        .with_hint("replace them in SQL, for example `CASE WHEN isfinite(x) THEN x END AS x`")
}

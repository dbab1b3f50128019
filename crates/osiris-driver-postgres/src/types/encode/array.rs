//! Encodes lists as arrays: in binary if the element type supports it, else as the text that the server's `array_in`
//! reads (<https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>), built from JSON.

use arrow::array::Array;
use serde::de::IgnoredAny;

use super::{Cell, ConversionError, NULL, framed, length};

/// Writes the elements `from..to` of `items` with `cell` as a one-dimensional array.
pub(super) fn binary(
    items: &dyn Array,
    range: std::ops::Range<usize>,
    oid: u32,
    cell: &Cell<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ConversionError> {
    framed(out, |out| {
        let count = length(range.len())?;
        let has_null = range.clone().any(|row| items.is_null(row));
        let dimensions = i32::from(count > 0);
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&i32::from(has_null).to_be_bytes());
        out.extend_from_slice(&oid.to_be_bytes());
        if count > 0 {
            out.extend_from_slice(&count.to_be_bytes());
            // The lower bound is 1.
            out.extend_from_slice(&1_i32.to_be_bytes());
        }
        for row in range {
            if items.is_null(row) {
                out.extend_from_slice(&NULL.to_be_bytes());
            } else {
                cell(row, out)?;
            }
        }
        Ok(())
    })
}

/// Writes a JSON list as an array, each scalar with `write`; nested lists are dimensions, unless the elements are JSON.
pub(super) fn binary_of_json(
    json: &str,
    oid: u32,
    elements_are_json: bool,
    out: &mut Vec<u8>,
    mut write: impl FnMut(&str, &mut Vec<u8>) -> Result<(), ConversionError>,
) -> Result<(), ConversionError> {
    let (mut dimensions, mut scalars) = (Vec::new(), Vec::new());
    flatten(checked(json)?, elements_are_json, 0, &mut dimensions, &mut scalars)?;
    // An array of empty arrays is empty.
    if scalars.is_empty() {
        dimensions.clear();
    }
    let has_null = scalars.contains(&"null");
    framed(out, |out| {
        out.extend_from_slice(&length(dimensions.len())?.to_be_bytes());
        out.extend_from_slice(&i32::from(has_null).to_be_bytes());
        out.extend_from_slice(&oid.to_be_bytes());
        for count in &dimensions {
            out.extend_from_slice(&length(*count)?.to_be_bytes());
            out.extend_from_slice(&1_i32.to_be_bytes());
        }
        for scalar in &scalars {
            match scalar.as_bytes().first() {
                Some(b'n') => out.extend_from_slice(&NULL.to_be_bytes()),
                Some(b'"') if !elements_are_json => {
                    let text: String = serde_json::from_str(scalar).map_err(|_| "invalid JSON")?;
                    write(&text, out)?;
                }
                _ => write(scalar, out)?,
            }
        }
        Ok(())
    })
}

/// The scalars of a list and the length of each dimension.
fn flatten<'a>(
    json: &'a str,
    elements_are_json: bool,
    depth: usize,
    dimensions: &mut Vec<usize>,
    scalars: &mut Vec<&'a str>,
) -> Result<(), ConversionError> {
    const UNEVEN: &str = "nested lists differ in length, which an array does not allow";
    let found = items(json);
    match dimensions.get(depth) {
        Some(count) if *count != found.len() => return Err(UNEVEN.into()),
        Some(_) => {}
        // A scalar occurred at a level above this one.
        None if depth > 0 && !scalars.is_empty() => return Err(UNEVEN.into()),
        None => dimensions.push(found.len()),
    }
    let lists = found.iter().filter(|item| item.starts_with('[') && !elements_are_json).count();
    if lists == 0 {
        // The last dimension, which must be the same everywhere.
        if dimensions.len() != depth + 1 {
            return Err(UNEVEN.into());
        }
        scalars.extend(found);
        return Ok(());
    }
    if lists != found.len() {
        return Err(UNEVEN.into());
    }
    found.into_iter().try_for_each(|item| flatten(item, elements_are_json, depth + 1, dimensions, scalars))
}

/// JSON such as `[1,null,"a"]` as the text of an array, `{1,NULL,"a"}`. Lists in lists are dimensions.
pub(super) fn text_of_json(json: &str) -> Result<String, ConversionError> {
    let mut out = String::with_capacity(json.len() + 2);
    list(checked(json)?, &mut out)?;
    Ok(out)
}

/// A string with a JSON list.
fn checked(json: &str) -> Result<&str, ConversionError> {
    if serde_json::from_str::<IgnoredAny>(json).is_err() {
        return Err("invalid JSON".into());
    }
    let json = json.trim_ascii();
    if json.starts_with('[') { Ok(json) } else { Err("JSON value is not an array".into()) }
}

fn list(json: &str, out: &mut String) -> Result<(), ConversionError> {
    out.push('{');
    for (index, item) in items(json).into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match item.as_bytes().first() {
            Some(b'n') => out.push_str("NULL"),
            Some(b'[') => list(item, out)?,
            Some(b'"') => {
                let text: String = serde_json::from_str(item).map_err(|_| "invalid JSON")?;
                quoted(&text, out);
            }
            Some(b'{') => quoted(item, out),
            _ => out.push_str(item),
        }
    }
    out.push('}');
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

/// The source text of each element of a list. The text is valid JSON.
fn items(json: &str) -> Vec<&str> {
    let inner = json.trim_ascii();
    let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
    let (mut found, mut depth, mut in_string, mut escaped, mut start) = (Vec::new(), 0_usize, false, false, 0);
    for (at, byte) in inner.bytes().enumerate() {
        if in_string {
            (in_string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                found.push(inner[start..at].trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = inner[start..].trim_ascii();
    if !last.is_empty() {
        found.push(last);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lists_are_arrays_with_quotes_nulls_and_dimensions() {
        for (json, expected) in [
            ("[]", "{}"),
            ("[1, null,\t12345678901234567890.50]", "{1,NULL,12345678901234567890.50}"),
            (r#"["a,b", "q\"\\", "null", ""]"#, r#"{"a,b","q\"\\","null",""}"#),
            ("[[1,2],[3,4]]", "{{1,2},{3,4}}"),
            (r#"[{"a": [1, "]"]}]"#, r#"{"{\"a\": [1, \"]\"]}"}"#),
            ("[true,false]", "{true,false}"),
        ] {
            assert_eq!(text_of_json(json).unwrap(), expected);
        }
        for wrong in ["{", "{}", "1", "", "[1,]"] {
            assert!(text_of_json(wrong).is_err(), "{wrong}");
        }
    }

    /// The dimensions and elements of the encoded array.
    fn binary_parts(json: &str, elements_are_json: bool) -> Result<(Vec<i32>, Vec<Option<String>>), ConversionError> {
        let mut out = Vec::new();
        binary_of_json(json, 25, elements_are_json, &mut out, |item, out| super::super::put(item.as_bytes(), out))?;
        let number = |at: usize| i32::from_be_bytes(out[at..at + 4].try_into().unwrap());
        let dimensions = usize::try_from(number(4)).unwrap();
        let counts: Vec<i32> = (0..dimensions).map(|at| number(16 + at * 8)).collect();
        let (mut rest, mut elements) = (&out[16 + dimensions * 8..], Vec::new());
        while let Some((size, after)) = rest.split_first_chunk::<4>() {
            let size = usize::try_from(i32::from_be_bytes(*size)).ok();
            let (element, after) = after.split_at(size.unwrap_or(0));
            elements.push(size.map(|_| String::from_utf8(element.to_vec()).unwrap()));
            rest = after;
        }
        Ok((counts, elements))
    }

    #[test]
    fn lists_of_lists_are_dimensions_if_they_are_even() {
        let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(binary_parts("[]", false).unwrap(), (vec![], vec![]));
        assert_eq!(binary_parts("[[],[]]", false).unwrap(), (vec![], vec![]));
        assert_eq!(binary_parts(r#"["a\"b", null]"#, false).unwrap(), (vec![2], vec![Some("a\"b".to_owned()), None]));
        assert_eq!(
            binary_parts("[[1,2],[3,4],[5,6]]", false).unwrap(),
            (vec![3, 2], some(&["1", "2", "3", "4", "5", "6"]))
        );
        assert_eq!(binary_parts(r#"[[1], "x"]"#, true).unwrap(), (vec![2], some(&["[1]", "\"x\""])));
        for uneven in ["[[1],[2,3]]", "[1,[2]]", "[[1],2]", "[[[1]],[2]]", "[[1],[[2]]]", "[[],[1]]"] {
            assert!(binary_parts(uneven, false).is_err(), "{uneven}");
        }
    }
}

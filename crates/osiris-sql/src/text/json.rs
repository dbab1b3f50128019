//! JSON that is appended to bytes, without a value in between: numbers keep all their digits.

/// A string.
pub fn string(text: &str, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// An array of `length` items, each of which `item` writes.
///
/// # Errors
/// The first of `item`.
pub fn array<E>(
    length: usize,
    out: &mut Vec<u8>,
    mut item: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    out.push(b'[');
    for index in 0..length {
        if index > 0 {
            out.push(b',');
        }
        item(index, out)?;
    }
    out.push(b']');
    Ok(())
}

/// An object with these names, whose values `value` writes.
///
/// # Errors
/// The first of `value`.
pub fn object<E, N>(
    names: impl IntoIterator<Item = N>,
    out: &mut Vec<u8>,
    mut value: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E>
where
    N: AsRef<str>,
{
    out.push(b'{');
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(name.as_ref(), out);
        out.push(b':');
        value(index, out)?;
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_arrays_are_json() {
        let mut out = Vec::new();
        let number = |index: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(index.to_string().as_bytes());
            Ok::<(), ()>(())
        };
        object(["a \"b\"\n", "c"], &mut out, |index, out| array(index, out, number)).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a \"b\"\n":[],"c":[0]}"#);
    }
}

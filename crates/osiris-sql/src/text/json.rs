//! JSON that is appended to bytes, without a value in between: numbers keep all their digits. And what databases would lose
//! of it.

use std::borrow::Cow;
use std::collections::HashSet;

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

/// Whether an object in this JSON has a key more than once: databases that parse it keep one of the values. What is no
/// JSON is left to them.
pub fn has_repeated_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    // The keys of the objects that are open; none for an array.
    let mut open: Vec<Option<HashSet<Cow<'_, str>>>> = Vec::new();
    let (mut at, mut is_key) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => {
                open.push(Some(HashSet::new()));
                is_key = true;
            }
            b'[' => {
                open.push(None);
                is_key = false;
            }
            b'}' | b']' => {
                open.pop();
                is_key = false;
            }
            b',' => is_key = matches!(open.last(), Some(Some(_))),
            b'"' => {
                let Some(end) = end_of_string(bytes, at) else { return false };
                if let Some(Some(keys)) = open.last_mut().filter(|_| is_key)
                    && !keys.insert(unescaped(&text[at..end]))
                {
                    return true;
                }
                (at, is_key) = (end - 1, false);
            }
            _ => {}
        }
        at += 1;
    }
    false
}

/// Where the string that begins with the quote at `start` ends, with its last quote.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A string in quotes without them.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    let plain = &quoted[1..quoted.len() - 1];
    let parsed = plain.contains('\\').then(|| serde_json::from_str(quoted).ok()).flatten();
    parsed.map_or(plain.into(), Cow::<str>::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_that_comes_twice_in_one_object_is_found_at_any_depth_and_in_any_notation() {
        for (text, is_repeated) in [
            (r#"{"a": 1, "a": 1}"#, true),
            (r#"[0, {"x": {"a": [], "b": {}, "a": null}}]"#, true),
            (r#"{"a": "\u0061", "\u0061": 2}"#, true),
            (r#"{"é\"": 1e400, "\u00e9\"": 2}"#, true),
            (r#"{"a": {"a": {"a": 1}}, "b": ["a", "a"], "A": 1}"#, false),
            (r#"["a", "a", {"k": "a"}, {"k": "a"}]"#, false),
            (r#"{"a": "\\", "b": "a\", \"a"}"#, false),
            ("1", false),
            ("\"a", false),
            ("}]{\"a\"", false),
        ] {
            assert_eq!(has_repeated_key(text), is_repeated, "{text}");
        }
    }

    proptest! {
        #[test]
        fn objects_of_distinct_keys_have_none_twice_and_any_text_is_read(
            keys in prop::collection::hash_set(any::<String>(), 1..8),
            any_text in "[{}\\[\\],:\"\\\\ua0é]{0,40}",
        ) {
            let members: Vec<_> = keys.iter().map(|key| format!("{}: [{{}}]", serde_json::json!(key))).collect();
            let object = |members: &[String]| format!("{{{}}}", members.join(", "));
            prop_assert!(!has_repeated_key(&object(&members)));
            prop_assert!(has_repeated_key(&object(&[&members[..], &members[..1]].concat())));
            has_repeated_key(&any_text);
        }
    }

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

//! Deep parse trees, such as a UNION of a thousand files or a concatenation of a hundred strings.

use serde_json::{Map, Value};

use crate::{Error, Result};

/// Levels of JSON that are read. A level of SQL has one to four of them.
const LEVELS: usize = 50_000;
/// The stack for a walk over so many; what is not used of it is not taken.
const STACK: usize = 512 << 20;

/// Runs `work` where it may call itself for each level of a tree.
pub(super) fn deep<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("sql".to_owned()).stack_size(STACK).spawn_scoped(scope, work);
        match thread.map_err(Error::from)?.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// An object or array in the making, with the key that waits for its value.
enum Open {
    Object(Map<String, Value>, Option<String>),
    Array(Vec<Value>),
}

/// Reads JSON that DuckDB has written. Unlike serde's, this reader has no limit that a query of ordinary length would
/// reach.
///
/// # Errors
/// It is not JSON, or has too many levels.
pub(super) fn read(text: &str) -> Result<Value> {
    let broken = || Error::unknown("the SQL parser returned no parse tree");
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at).copied() {
        let start = at;
        at += 1;
        let done = match byte {
            b'{' | b'[' => {
                if open.len() >= LEVELS {
                    return Err(Error::validation("the SQL is nested too deeply to be checked")
                        .with_hint("compute parts of it in steps or WITH queries of their own"));
                }
                open.push(if byte == b'{' { Open::Object(Map::new(), None) } else { Open::Array(Vec::new()) });
                continue;
            }
            b'}' | b']' => match open.pop() {
                Some(Open::Object(object, None)) => Value::Object(object),
                Some(Open::Array(items)) => Value::Array(items),
                _ => return Err(broken()),
            },
            b',' | b':' | b' ' | b'\n' | b'\t' | b'\r' => continue,
            _ => {
                at = end(text.as_bytes(), start);
                serde_json::from_str(&text[start..at]).map_err(|error| broken().with_source(error))?
            }
        };
        match (open.last_mut(), done) {
            (None, done) => return Ok(done),
            (Some(Open::Array(items)), done) => items.push(done),
            (Some(Open::Object(_, key @ None)), Value::String(name)) => *key = Some(name),
            (Some(Open::Object(object, key)), done) => {
                object.insert(key.take().ok_or_else(broken)?, done);
            }
        }
    }
    Err(broken())
}

/// Where the text, number or word that begins at `start` ends.
fn end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    if bytes[start] != b'"' {
        while bytes.get(at).is_some_and(|byte| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r')) {
            at += 1;
        }
        return at;
    }
    loop {
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at = (at + 2).min(bytes.len()),
            Some(_) => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_serde_reads() {
        for text in [
            r#"{"a": [1, -2.5, 18446744073709551615, null, true], "b\"\\": {"c": "é\u0041\\"}, "d": [], "e": {}}"#,
            "[]",
            "\"x\"",
            "[{\"class\":\"x\",\"y\":\"{[,:]}\"}]",
        ] {
            assert_eq!(read(text).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        for text in ["", "{", "[1", "{\"a\"}", "nonsense", "\"open"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn too_many_levels_are_an_error() {
        let error = deep(|| read(&"[".repeat(LEVELS + 1))).unwrap_err();
        assert!(error.message().contains("nested too deeply"), "{error}");
    }
}

//! Nested JSON as the store takes it: DuckDB refuses halves of surrogate pairs, which are not characters, and control
//! characters that are not escaped; the reader of responses accepts both.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::cursor::character;

/// JSON with each half of a surrogate pair as U+FFFD and each control character in a string escaped, and how many halves
/// were replaced. `json` is valid but for these.
pub(super) fn repaired(json: &str) -> (Cow<'_, str>, u64) {
    if !json.bytes().any(|byte| byte < b' ') && !json.contains("\\ud") && !json.contains("\\uD") {
        return (Cow::Borrowed(json), 0);
    }
    let (mut out, mut replaced) = (String::with_capacity(json.len()), 0);
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while let Some(&byte) = json.as_bytes().get(at) {
        let (length, instead) = match byte {
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'\\' if json[at..].starts_with("\\u") => match character(&json[at..]) {
                (Some(_), length) => (length, None),
                (None, length) => {
                    replaced += 1;
                    (length, Some(char::REPLACEMENT_CHARACTER.to_string()))
                }
            },
            b'\\' => (2, None),
            control if control < b' ' && in_string => (1, Some(format!("\\u{control:04x}"))),
            _ => (1, None),
        };
        if let Some(instead) = instead {
            let _ = write!(out, "{}{instead}", &json[copied..at]);
            copied = at + length;
        }
        at += length;
    }
    out.push_str(&json[copied..]);
    (Cow::Owned(out), replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_duckdb_refuses_is_replaced_and_the_rest_stays() {
        for (json, expected, replaced) in [
            (r#"["x\ud83d"]"#, "[\"x\u{fffd}\"]", 1),
            (r#"{"\uDE00": "\ud83d\ud83d\ude00"}"#, "{\"\u{fffd}\": \"\u{fffd}\\ud83d\\ude00\"}", 2),
            (r#"["\\ud83d", "\u00e9\"\ud83d"]"#, "[\"\\\\ud83d\", \"\\u00e9\\\"\u{fffd}\"]", 1),
            ("{\n\t\"a\": \"x\ny\u{1}\"\n}", "{\n\t\"a\": \"x\\u000ay\\u0001\"\n}", 0),
            (r#"["\ud83d\ude00é"]"#, r#"["\ud83d\ude00é"]"#, 0),
        ] {
            let (clean, count) = repaired(json);
            assert_eq!((&*clean, count), (expected, replaced), "{json}");
            serde_json::from_str::<serde_json::Value>(&clean).unwrap();
        }
    }
}

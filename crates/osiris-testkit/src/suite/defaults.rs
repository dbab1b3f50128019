//! The default of a field: from its schema, or as its description names it.

use serde_json::Value;

/// The default of a field whose schema is `field`: the schema's, or the value that the description names, as `Default: 5`,
/// `Default 5` or "`a` (default)". The word alone is none.
pub(super) fn default_of(field: &Value) -> Option<String> {
    match &field["default"] {
        Value::Null => {}
        Value::String(text) => return Some(text.clone()),
        other => return Some(other.to_string()),
    }
    let description: Vec<&str> = field["description"].as_str()?.split_whitespace().collect();
    let description = description.join(" ");
    ["Default", "default"].iter().find_map(|word| {
        description.match_indices(word).find_map(|(at, _)| named(&description[..at], &description[at + word.len()..]))
    })
}

/// The same as a number.
pub(super) fn number_of(field: &Value) -> Option<u64> {
    default_of(field)?.replace([',', '_', '`'], "").parse().ok()
}

/// The value between what stands before the word and what stands behind it.
fn named(before: &str, after: &str) -> Option<String> {
    let quoted = before.strip_suffix(" (").filter(|before| before.ends_with('`'));
    if let Some(quoted) = quoted {
        return quoted.trim_end_matches('`').rsplit('`').next().map(str::to_owned);
    }
    let words =
        |text: &str| text.split_whitespace().next().map(|word| word.trim_end_matches(['.', ',', ';', ')']).to_owned());
    match after.strip_prefix(':') {
        Some(value) => words(value).filter(|word| word.starts_with('`') || word.contains(char::is_alphanumeric)),
        None => words(after).filter(|word| word.starts_with(|first: char| first == '`' || first.is_ascii_digit())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_default_is_a_value_not_a_word() {
        for (description, default) in [
            ("Rows. Default: 1,000.", Some("1,000")),
            ("Rows. Default 1000.", Some("1000")),
            ("Rows. Default: none.", Some("none")),
            ("The delimiter. Default: `,`, or a tab.", Some("`,`")),
            ("Ends at the first: `error`\n(default), or `reject`.", Some("error")),
            ("The ending: `lf` (default), `crlf`.", Some("lf")),
            ("Whether there is one (default `true`), or not.", Some("`true`")),
            ("By default it is as always.", None),
            ("The default is the usual one.", None),
            ("Default: ...", None),
            ("Default", None),
            ("Rows.", None),
        ] {
            assert_eq!(default_of(&json!({"description": description})).as_deref(), default, "{description}");
        }
        assert_eq!(default_of(&json!({"default": 5, "description": "Rows."})).as_deref(), Some("5"));
        assert_eq!(default_of(&json!({"default": null})), None);
        assert_eq!(number_of(&json!({"description": "Default: 1,000."})), Some(1000));
        assert_eq!(number_of(&json!({"description": "Default: about 16 MiB"})), None);
    }
}

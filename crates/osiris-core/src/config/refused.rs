//! Words and fields that are refused although other components or programs know them: the error says why, or what to write instead.

use serde_json::Value;

/// The words that a field refuses although other components know them, with the reasons.
const WORDS: &str = "x-refused-words";

/// The fields that a type refuses although files of other programs have them: for each, by a part of its text, what does the same here.
/// The empty part stands for any other text.
const FIELDS: &str = "x-refused-fields";

/// Why the field with this schema refuses a word.
pub(super) fn reason<'a>(schema: &'a Value, word: &str) -> Option<&'a str> {
    schema[WORDS][word].as_str()
}

/// What to write instead of a field that the type with this schema refuses.
pub(super) fn instead(schema: &Value, field: &str, value: &Value) -> Option<String> {
    let parts = schema[FIELDS][field].as_object()?;
    let text = value.as_str().unwrap_or_default();
    let named = parts.iter().filter(|(part, _)| !part.is_empty() && text.contains(part.as_str()));
    let hints: Vec<&str> = named.filter_map(|(_, hint)| hint.as_str()).collect();
    match hints.is_empty() {
        true => parts.get("").and_then(Value::as_str).map(str::to_owned),
        false => Some(hints.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn g14_a_refused_field_says_what_does_the_same_by_what_it_asks_for() {
        let schema =
            json!({FIELDS: {"prefer": {"tx=": "use a dry run", "count=": "rows are counted", "": "remove it"}}});
        let hint = |value: Value| instead(&schema, "prefer", &value);
        assert_eq!(hint(json!("tx=rollback")).as_deref(), Some("use a dry run"));
        assert_eq!(hint(json!("count=exact,tx=commit")).as_deref(), Some("use a dry run; rows are counted"));
        assert_eq!(hint(json!("other")).as_deref(), Some("remove it"));
        assert_eq!(hint(json!(5)).as_deref(), Some("remove it"));
        assert_eq!(instead(&schema, "another", &json!("tx=rollback")), None);
    }
}

//! A saved state may have only fields that its driver reads: one that nobody reads may be where the next run must
//! start, and a run without it would silently start over.

use serde_json::Value;

use crate::{Error, Result};

/// Refuses fields of a saved state, or of an object in it, that its driver does not read. A driver calls it before it
/// reads a state.
///
/// # Errors
/// `saved` is an object with a field that is not one of `known`, or is not an object.
pub fn refuse_unknown_fields(saved: &Value, known: &[&str]) -> Result<()> {
    let Value::Object(fields) = saved else {
        return Err(unreadable("the saved state cannot be read: it is not an object"));
    };
    let unknown: Vec<String> =
        fields.keys().filter(|name| !known.contains(&name.as_str())).map(|name| format!("`{name}`")).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(unreadable(format!("the saved state has unknown fields: {}", unknown.join(", ")))
        .with_context("known fields", known.join(", ")))
}

fn unreadable(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::validation(message).with_hint(
        "restore the state, use the version of osiris that saved it, or remove it with \
         `osiris state reset PIPELINE STEP` to read all rows again",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_nobody_reads_are_all_named() {
        assert!(refuse_unknown_fields(&json!({"at": 1}), &["at", "id"]).is_ok());
        assert!(refuse_unknown_fields(&json!({}), &["at"]).is_ok());
        let error = refuse_unknown_fields(&json!({"at": 1, "x": {}, "y": null}), &["at"]).unwrap_err();
        assert_eq!(error.message(), "the saved state has unknown fields: `x`, `y`");
        assert!(error.report().contains("osiris state reset"), "{}", error.report());
        for damaged in [json!([1]), json!("at"), json!(null)] {
            assert!(refuse_unknown_fields(&damaged, &["at"]).is_err(), "{damaged}");
        }
    }
}

//! Fields that are accepted and change nothing: they are in files of other programs, and whoever writes one must know.

use serde_json::Value;

use super::{ConfigSchema, escape};
use crate::Problem;

/// The mark of a field without effect in its schema, with the reason.
const NO_EFFECT: &str = "x-no-effect";

impl ConfigSchema {
    /// A warning for each field of `value` that is marked with `x-no-effect` and has another value than its default.
    pub(crate) fn without_effect(&self, value: &Value) -> Vec<Problem> {
        let warning = |(name, schema): (&str, &Value)| {
            let (reason, given) = (schema[NO_EFFECT].as_str()?, value.get(name)?);
            let is_default = given.is_null() || schema.get("default") == Some(given);
            let message = format!("`{name}` has no effect: {reason}");
            (!is_default).then(|| Problem::warning(format!("/{}", escape(name)), message).with_hint("remove it"))
        };
        self.fields().filter_map(warning).collect()
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Fields {
        #[schemars(extend("x-no-effect" = "rows are streamed"))]
        chunk_size: Option<u64>,
        #[serde(default)]
        #[schemars(extend("x-no-effect" = "there is no token"))]
        refresh: bool,
        path: String,
    }

    #[test]
    fn g17_a_field_without_effect_is_warned_about_unless_it_has_its_default() {
        let schema = ConfigSchema::of::<Fields>();
        let found = |value: Value| {
            let found = schema.without_effect(&value);
            assert!(found.iter().all(|problem| !problem.is_error()));
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            found(json!({"chunk_size": 5, "refresh": true, "path": "p"})),
            [
                "chunk_size: `chunk_size` has no effect: rows are streamed (remove it)",
                "refresh: `refresh` has no effect: there is no token (remove it)"
            ]
        );
        assert!(found(json!({"chunk_size": null, "refresh": false, "path": "p"})).is_empty());
    }
}

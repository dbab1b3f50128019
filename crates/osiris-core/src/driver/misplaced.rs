//! Secrets in the wrong place: a field of a step that has the name of a secret of its connection, such as `key`, which
//! names columns in a step and is the API key in a connection.

use serde_json::Value;

use crate::config::{ConfigSchema, escape};
use crate::secret::mask_by_form;
use crate::{Code, Problem, looks_like_token};

/// The fields of a configuration, by the names of its schema, that hold an access token and have the name of a secret
/// of the connection, or an alias of that name.
pub(super) fn misplaced(config: &Value, schema: &ConfigSchema, connection: &ConfigSchema) -> Vec<Problem> {
    let fields = config.as_object().into_iter().flatten();
    let is_confused =
        |name: &str| std::iter::once(name).chain(schema.aliases(name)).any(|name| connection.is_secret(name));
    let found = fields.filter(|(name, value)| is_confused(name) && holds_token(value));
    found.map(|(name, _)| problem(name)).collect()
}

fn problem(name: &str) -> Problem {
    let message = format!("`{name}` of a step holds an API key or an access token, but is not a secret");
    Problem::error(format!("/{}", escape(name)), message).with_code(Code::LiteralSecret).with_hint(
        "set it in the connection, as a variable: `${VARIABLE}`; it was exposed in a pipeline file, so replace it with a \
         new one",
    )
}

fn holds_token(value: &Value) -> bool {
    match value {
        Value::String(text) => looks_like_token(text),
        Value::Array(items) => items.iter().any(holds_token),
        Value::Object(fields) => fields.iter().any(|(name, value)| looks_like_token(name) || holds_token(value)),
        _ => false,
    }
}

/// No problem shows a token or the password of an address, whatever the field is.
pub(super) fn masked(mut problem: Problem) -> Problem {
    problem.message = mask_by_form(&problem.message).into_owned();
    problem.hint = problem.hint.map(|hint| mask_by_form(&hint).into_owned());
    problem
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;
    use crate::Secret;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Config {
        #[schemars(extend("x-aliases" = ["api_key"]))]
        columns: Vec<String>,
        path: String,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Connection {
        #[schemars(extend("x-aliases" = ["api_key"]))]
        key: Secret,
    }

    #[test]
    fn g15_a_token_in_a_field_that_is_called_like_a_secret_is_refused_by_any_of_its_names() {
        let found = |config: Value| {
            let found = misplaced(&config, &ConfigSchema::of::<Config>(), &ConfigSchema::of::<Connection>());
            found.into_iter().map(|problem| problem.pointer).collect::<Vec<_>>()
        };
        let token = "sb_secret_0123456789";
        assert_eq!(found(json!({"columns": ["id", token]})), ["/columns"]);
        assert_eq!(found(json!({"columns": {"a": {token: 1}}})), ["/columns"]);
        assert!(found(json!({"columns": ["id", "key"], "path": token})).is_empty());
        let all =
            misplaced(&json!({"columns": token}), &ConfigSchema::of::<Config>(), &ConfigSchema::of::<Connection>());
        let message = "`columns` of a step holds an API key or an access token, but is not a secret";
        assert_eq!(all[0].message, message, "the first line says which field it is");
    }
}

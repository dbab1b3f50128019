//! What of its connection a step may set differently, and how.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ConnectionRef;
use crate::Problem;
use crate::config::{ConfigSchema, escape};
use crate::problem::nearest;

/// The field of a definition that lists the address fields which a step may override.
pub(super) const OVERRIDES: &str = "overrides";

/// The fields that a definition lets steps override, by their own names.
pub(super) fn listed_overrides(
    list: Option<&Value>,
    reference: &ConnectionRef,
    schema: &ConfigSchema,
) -> (BTreeSet<String>, Vec<Problem>) {
    let (mut listed, mut problems) = (BTreeSet::new(), Vec::new());
    let items = match list {
        None | Some(Value::Null) => return (listed, problems),
        Some(Value::Array(items)) => items.as_slice(),
        Some(_) => {
            problems.push(
                Problem::error(
                    format!("/{OVERRIDES}"),
                    format!("`{OVERRIDES}` of {reference} must be a list of fields"),
                )
                .with_hint(format!("such as `{OVERRIDES}: [database]`")),
            );
            return (listed, problems);
        }
    };
    for (index, item) in items.iter().enumerate() {
        let pointer = format!("/{OVERRIDES}/{index}");
        let name = item.as_str().unwrap_or_default();
        match schema.field_named(name) {
            Some(field) if OverridePolicy::of(field, schema) == OverridePolicy::Never => {
                problems.push(Problem::error(pointer, format!("`{name}` of {reference} can never be set in a step")))
            }
            Some(field) => drop(listed.insert(field.to_owned())),
            None => {
                let known: Vec<&str> = schema.fields().map(|(field, _)| field).collect();
                let problem = Problem::error(pointer, format!("`{OVERRIDES}` names no field of the connection"));
                problems.push(match nearest(name, known.iter().copied()) {
                    Some(similar) => problem.with_hint(format!("did you mean `{similar}`?")),
                    None => problem.with_hint(format!("its fields: {}", known.join(", "))),
                });
            }
        }
    }
    (listed, problems)
}

/// The problem with a field that a step must not override.
pub(super) fn refusal(
    policy: OverridePolicy,
    name: &str,
    is_listed: bool,
    reference: &ConnectionRef,
) -> Option<Problem> {
    let pointer = format!("/{}", escape(name));
    match policy {
        OverridePolicy::Free | OverridePolicy::Narrowed | OverridePolicy::Headers => None,
        OverridePolicy::Never => Some(
            Problem::error(pointer, format!("`{name}` of {reference} must not be overridden in a step"))
                .with_hint("define another connection with it"),
        ),
        OverridePolicy::Address | OverridePolicy::Listed if is_listed => None,
        OverridePolicy::Address => Some(
            Problem::error(
                pointer,
                format!("`{name}` would send the data and secrets of {reference} elsewhere: the connection does not allow it"),
            )
            .with_hint(format!(
                "define another connection with it; or write `{OVERRIDES}: [{name}]` in {reference}, where every step may then do so"
            )),
        ),
        OverridePolicy::Listed => Some(
            Problem::error(pointer, format!("`{name}` of {reference} must not be overridden in a step"))
                .with_hint(format!("define another connection with it; or write `{OVERRIDES}: [{name}]` in {reference}")),
        ),
    }
}

/// Whether a step may set a field of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverridePolicy {
    /// Any step may: it does not change where secrets or data go.
    Free,
    /// Any step may narrow it to something inside of what the connection has.
    Narrowed,
    /// Headers by name: any step may add one whose name carries no [credential](crate::secret::is_guarded_header).
    Headers,
    /// It decides where secrets and data go, or the user: only if the connection lists the field under `overrides`.
    Address,
    /// The same for any other field.
    Listed,
    /// No step may.
    Never,
}

/// Names of fields with the address or the user of a connection. A driver marks such a field if it has another name.
const ADDRESSES: &[&str] = &[
    "host",
    "port",
    "socket",
    "url",
    "uri",
    "endpoint",
    "address",
    "hostname",
    "server",
    "region",
    "base_url",
    "database",
    "user",
    "username",
    "role",
    "account",
    "base_dir",
    "directory",
    "bucket",
    "project_id",
    "proxy",
];

impl OverridePolicy {
    /// The values of `x-override`, with what each means.
    const MARKS: [(&'static str, Self); 5] = [
        ("allowed", Self::Free),
        ("narrowed", Self::Narrowed),
        ("headers", Self::Headers),
        ("address", Self::Address),
        ("refused", Self::Never),
    ];

    /// The policy of a field: that of `x-override` in its schema (`allowed`, `narrowed`, `headers`, `address`,
    /// `refused`), else by its name. A secret never comes from a step; of `headers` the step's own are none.
    pub fn of(field: &str, schema: &ConfigSchema) -> Self {
        let mark = schema.json()["properties"][field]["x-override"].as_str();
        if schema.is_secret(field) && mark != Some("headers") {
            return Self::Never;
        }
        let marked = mark.and_then(|mark| Self::MARKS.into_iter().find(|(name, _)| *name == mark));
        match marked {
            Some((_, policy)) => policy,
            None if field == "schema" => Self::Free,
            None if Self::is_called_an_address(field) => Self::Address,
            None => Self::Listed,
        }
    }

    /// Whether a field of this name, or with this name after a prefix such as `pg_`, is part of the address.
    pub fn is_called_an_address(field: &str) -> bool {
        ADDRESSES
            .iter()
            .any(|name| field.strip_suffix(name).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('_')))
    }

    /// Whether `mark` is a value of `x-override`.
    pub fn is_mark(mark: &str) -> bool {
        Self::MARKS.iter().any(|(name, _)| *name == mark)
    }
}

/// A directory below another, as a list from the outermost to the innermost. Nothing is looked up: whoever uses the
/// list follows symbolic links.
pub(super) fn narrow(outer: Option<&Value>, inner: &Value) -> Option<Value> {
    let mut directories = match outer {
        None | Some(Value::Null) => return Some(inner.clone()),
        Some(Value::Array(directories)) => directories.clone(),
        Some(one) => vec![one.clone()],
    };
    let below = |path: &Value| {
        path.as_str().is_some_and(|path| {
            std::path::Path::new(path)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
        })
    };
    match inner {
        Value::Array(several) if several.iter().all(below) => directories.extend(several.iter().cloned()),
        one if below(one) => directories.push(one.clone()),
        _ => return None,
    }
    Some(Value::Array(directories))
}

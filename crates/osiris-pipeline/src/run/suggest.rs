//! The name that was meant, for a table or a column that a step names and its source does not have.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use osiris_core::problem::nearest;
use osiris_core::{Catalog, Driver, Error, ErrorKind, ResolvedConnection, Resource, Role};
use serde_json::Value;
use tokio::time::timeout;

use crate::plan::PlannedStep;

/// How long the source may take to say what it has.
const LIMIT: Duration = Duration::from_secs(3);
/// The fields of a step that name columns of its table, by their pointers.
const COLUMNS: [&str; 3] = ["/columns", "/cursor/column", "/partition_by"];

/// What a source is asked after a step of it has failed: the name that was meant.
pub(super) struct Question {
    driver: Arc<dyn Driver>,
    connection: ResolvedConnection,
    base: PathBuf,
    config: Value,
}

impl Question {
    /// Where a step names something that may not be there. The source is asked only after a failure that no later try mends.
    pub(super) fn after(step: &PlannedStep, base: PathBuf, error: &Error) -> Option<Self> {
        // A table that is to be written may not be there yet, and another one is never what was meant.
        let reads = step.driver.spec().role == Role::Extract && step.config()["table"].is_string();
        if !reads || error.kind() != ErrorKind::Validation || !step.driver.family().has_discovery() {
            return None;
        }
        let (connection, config) = (step.connection().clone(), step.config().clone());
        Some(Self { driver: Arc::clone(&step.driver), connection, base, config })
    }

    /// What to say first in the hint of the error. What the source does not answer in time is left out.
    pub(super) async fn answer(self) -> Option<String> {
        let table = self.config["table"].as_str()?;
        let discovered = timeout(LIMIT, self.driver.family().discover_from(&self.connection, &self.base)).await;
        suggestion(&self.config, table, &discovered.ok()?.ok()?)
    }
}

/// The same error with `suggestion` first in its hint.
pub(super) fn with_suggestion(error: Error, suggestion: String) -> Error {
    let hint = match error.hint() {
        Some(hint) => format!("{suggestion} {hint}"),
        None => suggestion,
    };
    error.with_hint(hint)
}

fn suggestion(config: &Value, table: &str, catalog: &Catalog) -> Option<String> {
    let schema = config["schema"].as_str();
    // A catalog leaves the schema out where a connection has one that counts without a name.
    let is_in_schema = |resource: &&Resource| match (schema, resource.name.split_once('.')) {
        (Some(wanted), Some((found, _))) => wanted == found,
        _ => true,
    };
    let of_schema = || catalog.resources.iter().filter(is_in_schema);
    match of_schema().find(|resource| resource.name == table || short(resource) == table) {
        None => nearest_other(table, of_schema().map(short)).map(|name| format!("did you mean the table `{name}`?")),
        Some(resource) => {
            let fields = || resource.fields.iter().map(|field| field.name.as_str());
            let unknown = columns(config).find(|column| !fields().any(|field| field.eq_ignore_ascii_case(column)))?;
            nearest_other(unknown, fields()).map(|name| format!("did you mean the column `{name}`?"))
        }
    }
}

/// The nearest name that is not the same but for case: many servers do not tell those apart.
fn nearest_other<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, names.filter(|other| !other.eq_ignore_ascii_case(name)))
}

/// The name without the schema.
fn short(resource: &Resource) -> &str {
    resource.name.split_once('.').map_or(&*resource.name, |(_, table)| table)
}

/// The columns that a configuration names.
fn columns(config: &Value) -> impl Iterator<Item = &str> {
    let named = COLUMNS.iter().filter_map(|pointer| config.pointer(pointer));
    named
        .flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice))
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use osiris_core::{ResourceField, ResourceKind};
    use serde_json::json;

    use super::*;

    fn catalog() -> Catalog {
        let field = |name: &str| ResourceField {
            name: name.to_owned(),
            ordinal: 1,
            field_type: "integer".to_owned(),
            native_type: "int".to_owned(),
            nullable: true,
            primary_key: false,
            max_length: None,
        };
        let table = |name: &str| Resource {
            name: name.to_owned(),
            kind: ResourceKind::Table,
            estimated_row_count: None,
            estimated_size_mb: None,
            fields: vec![field("id"), field("amount")],
        };
        Catalog::new(vec![table("shop.orders"), table("shop.tags"), table("here")])
    }

    #[test]
    fn u36_the_nearest_table_or_column_is_named() {
        for (config, expected) in [
            (json!({"table": "ordres"}), Some("did you mean the table `orders`?")),
            (json!({"table": "orders", "columns": ["id", "amout"]}), Some("did you mean the column `amount`?")),
            (
                json!({"table": "orders", "schema": "shop", "cursor": {"column": "ids"}}),
                Some("did you mean the column `id`?"),
            ),
            (json!({"table": "orders", "schema": "shap"}), None),
            (
                json!({"table": "here", "schema": "public", "columns": ["amout"]}),
                Some("did you mean the column `amount`?"),
            ),
            (json!({"table": "hare", "schema": "public"}), Some("did you mean the table `here`?")),
            (json!({"table": "orders", "columns": ["ID"]}), None),
            (json!({"table": "orders", "columns": ["nothing_like_it"]}), None),
            (json!({"table": "nothing_like_it"}), None),
        ] {
            let table = config["table"].as_str().unwrap();
            assert_eq!(suggestion(&config, table, &catalog()).as_deref(), expected, "{config}");
        }
    }
}

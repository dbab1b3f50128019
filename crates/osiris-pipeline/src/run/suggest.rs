//! The name that was meant, for a table or a column that a step names and its source does not have.

use std::time::Duration;

use osiris_core::problem::nearest;
use osiris_core::{Catalog, Error, ErrorKind, Resource};
use serde_json::Value;
use tokio::time::timeout;

use crate::plan::PlannedStep;

/// How long the source may take to say what it has.
const LIMIT: Duration = Duration::from_secs(3);
/// The fields of a step that name columns of its table, by their pointers.
const COLUMNS: [&str; 4] = ["/columns", "/key", "/cursor/column", "/partition_by"];

/// The same error with the nearest name in its hint, where the step names something that is not there. The source is asked only
/// after a failure that no later try mends, and what it does not answer in time is left out.
pub(super) async fn with_nearest_name(step: &PlannedStep, error: Error) -> Error {
    let family = step.driver.family();
    let Some(table) = step.config()["table"].as_str() else { return error };
    if error.kind() != ErrorKind::Validation || !family.has_discovery() {
        return error;
    }
    let Ok(Ok(catalog)) = timeout(LIMIT, family.discover(step.connection(), None)).await else { return error };
    let Some(suggestion) = suggestion(step.config(), table, &catalog) else { return error };
    let hint = match error.hint() {
        Some(hint) => format!("{suggestion} {hint}"),
        None => suggestion,
    };
    error.with_hint(hint)
}

fn suggestion(config: &Value, table: &str, catalog: &Catalog) -> Option<String> {
    let whole = config["schema"].as_str().map(|schema| format!("{schema}.{table}"));
    let is_it = |resource: &&Resource| match &whole {
        Some(whole) => resource.name == *whole,
        None => resource.name == table || short(resource) == table,
    };
    match catalog.resources.iter().find(is_it) {
        None => {
            nearest(table, catalog.resources.iter().map(short)).map(|name| format!("did you mean the table `{name}`?"))
        }
        Some(resource) => {
            let fields = || resource.fields.iter().map(|field| field.name.as_str());
            let unknown = columns(config).find(|column| !fields().any(|field| field == *column))?;
            nearest(unknown, fields()).map(|name| format!("did you mean the column `{name}`?"))
        }
    }
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
        Catalog::new(vec![table("shop.orders"), table("shop.tags")])
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
            (json!({"table": "orders", "schema": "shap"}), Some("did you mean the table `orders`?")),
            (json!({"table": "orders", "key": "id"}), None),
            (json!({"table": "orders", "columns": ["nothing_like_it"]}), None),
            (json!({"table": "nothing_like_it"}), None),
        ] {
            let table = config["table"].as_str().unwrap();
            assert_eq!(suggestion(&config, table, &catalog()).as_deref(), expected, "{config}");
        }
    }
}

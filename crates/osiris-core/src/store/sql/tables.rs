//! What a parse tree shows: the tables that a query names, and whether it does more than read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::TableName;

/// Kinds of query that only read.
const READING: [&str; 4] = ["SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"];

/// A walk over a tree.
#[derive(Default)]
pub(super) struct Walk {
    /// Where the query begins in the script.
    pub(super) base: usize,
    pub(super) tables: Vec<TableName>,
    /// Names that the query itself defines, in lower case.
    pub(super) defined: BTreeSet<String>,
    /// What is not allowed.
    pub(super) refused: Option<String>,
}

impl Walk {
    pub(super) fn visit(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item)),
            Value::Object(object) => {
                let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
                if kind.ends_with("_NODE") && !READING.contains(&kind) && object.contains_key("cte_map") {
                    self.refused = Some(format!("`{}`", kind.trim_end_matches("_NODE").trim_end_matches("_QUERY")));
                }
                if kind == "BASE_TABLE" {
                    self.table(value);
                }
                let ctes = value["cte_map"]["map"].as_array().into_iter().flatten();
                self.defined.extend(ctes.filter_map(|cte| cte["key"].as_str()).map(str::to_lowercase));
                object.values().for_each(|item| self.visit(item));
            }
            _ => {}
        }
    }

    fn table(&mut self, table: &Value) {
        let schema = table["schema_name"].as_str().filter(|schema| !schema.is_empty());
        let offset = table["query_location"].as_u64().and_then(|offset| usize::try_from(offset).ok());
        self.tables.push(TableName {
            name: table["table_name"].as_str().unwrap_or_default().to_owned(),
            schema: schema.map(str::to_owned),
            offset: offset.filter(|offset| *offset < isize::MAX.unsigned_abs()).map(|offset| self.base + offset),
        });
    }
}

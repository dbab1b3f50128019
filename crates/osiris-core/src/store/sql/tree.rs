//! A walk over DuckDB's parse tree: the tables that a query names, and the first thing in it that does more than
//! compute from them. Kinds of nodes that are not known here are refused.

use serde_json::{Map, Value};

use super::functions::{computes, is_aggregate, is_refused, makes_rows};
use super::{OFFSET, TableName};
use crate::{Code, Error};

/// Kinds of query that only read.
const READING: [&str; 4] = ["SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"];
/// What may stand in a FROM.
const SOURCES: [&str; 7] = ["BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT"];
/// What expressions are made of.
const EXPRESSIONS: [&str; 17] = [
    "BETWEEN",
    "CASE",
    "CAST",
    "COLLATE",
    "COLUMN_REF",
    "COMPARISON",
    "CONJUNCTION",
    "CONSTANT",
    "DEFAULT",
    "FUNCTION",
    "LAMBDA",
    "OPERATOR",
    "POSITIONAL_REFERENCE",
    "STAR",
    "SUBQUERY",
    "TYPE",
    "WINDOW",
];
/// Those among them that are no part of a condition over one row.
const NOT_IN_CONDITION: [(&str, &str); 4] =
    [("SUBQUERY", "a subquery"), ("WINDOW", "a window function"), ("STAR", "`*`"), ("POSITIONAL_REFERENCE", "`#`")];

/// What is being checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A statement of a driver, whose text is ours: any function, any table.
    Trusted,
    /// A query of a processor.
    Query,
    /// A condition over the columns of one row.
    Condition,
}

/// A walk over a tree.
pub(super) struct Walk<'a> {
    purpose: Purpose,
    /// Where the query begins in the script.
    base: usize,
    /// Macros that the script has defined, in lower case.
    macros: &'a [String],
    /// Names that the query itself defines where the walk is, in lower case.
    scope: Vec<String>,
    /// Tables that it names, without those that it defines.
    pub(super) tables: Vec<TableName>,
    /// What is not allowed, and where.
    refused: Option<Error>,
}

/// A field of a node; null where there is none.
fn field<'v>(object: &'v Map<String, Value>, key: &str) -> &'v Value {
    object.get(key).unwrap_or(&Value::Null)
}

impl<'a> Walk<'a> {
    pub(super) fn new(purpose: Purpose, base: usize, macros: &'a [String]) -> Self {
        Self { purpose, base, macros, scope: Vec::new(), tables: Vec::new(), refused: None }
    }

    /// Walks over a statement or a part of one.
    ///
    /// # Errors
    /// The first thing that is not allowed.
    pub(super) fn over(mut self, value: &Value) -> Result<Vec<TableName>, Error> {
        self.visit(value);
        self.refused.map_or(Ok(self.tables), Err)
    }

    fn visit(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item)),
            Value::Object(object) if object.contains_key("cte_map") => self.query(object),
            Value::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
                if object.contains_key("class") {
                    self.expression(object, text("class"));
                } else if object.contains_key("sample") || SOURCES.contains(&text("type")) {
                    self.source(object, text("type"));
                }
                if object.get("named_param_map").is_some_and(|map| map.as_array().is_none_or(|map| !map.is_empty())) {
                    self.refuse("a parameter (`$1`, `?`)", object);
                }
                object.values().for_each(|item| self.visit(item));
            }
            _ => {}
        }
    }

    /// A query, with what its WITH defines for it alone. Each definition sees those before it.
    fn query(&mut self, node: &Map<String, Value>) {
        let kind = node.get("type").and_then(Value::as_str).unwrap_or_default();
        if !READING.contains(&kind) {
            self.refuse(&format!("`{}`", kind.trim_end_matches("_NODE").trim_end_matches("_QUERY")), node);
        }
        let outer = self.scope.len();
        for cte in field(node, "cte_map")["map"].as_array().into_iter().flatten() {
            self.visit(&cte["value"]);
            self.define(&cte["key"]);
        }
        let own = ["cte_name", "ctename"].iter().find_map(|key| node.get(*key));
        let mut parts: Vec<(&String, &Value)> = node.iter().filter(|(key, _)| *key != "cte_map").collect();
        // What a recursive query and a CTE node define is seen by their second part.
        parts.sort_by_key(|(key, _)| matches!(key.as_str(), "right" | "child"));
        for (key, part) in parts {
            if let (Some(own), "right" | "child") = (own, key.as_str()) {
                self.define(own);
            }
            self.visit(part);
        }
        self.scope.truncate(outer);
    }

    fn define(&mut self, name: &Value) {
        self.scope.push(name.as_str().unwrap_or_default().to_lowercase());
    }

    fn source(&mut self, source: &Map<String, Value>, kind: &str) {
        match kind {
            "BASE_TABLE" => self.table(source),
            // DESCRIBE and SUMMARIZE of a query; SHOW by name asks the catalog.
            "SHOW_REF" if source.get("query").is_some_and(Value::is_object) => {}
            "SHOW_REF" => self.refuse("`SHOW`", source),
            kind if !SOURCES.contains(&kind) => self.refuse(&format!("`{kind}`"), source),
            _ => {}
        }
        if kind == "TABLE_FUNCTION" && self.purpose != Purpose::Trusted {
            let name = field(source, "function")["function_name"].as_str().unwrap_or_default();
            if !makes_rows(name) && !self.is_macro(name) {
                self.refuse_function(name, source);
            }
        }
    }

    fn table(&mut self, table: &Map<String, Value>) {
        let text = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default();
        let parts = field(table, "qualified_name")["path"].as_array().map_or(0, Vec::len);
        if self.purpose != Purpose::Trusted && (!text("catalog_name").is_empty() || parts > 2) {
            return self.refuse("a table of another database", table);
        }
        if !field(table, "at_clause").is_null() {
            return self.refuse("`AT`", table);
        }
        let (schema, name) = (text("schema_name"), text("table_name"));
        let own = self.scope.iter().any(|known| *known == name.to_lowercase());
        if own && (schema.is_empty() || schema.eq_ignore_ascii_case("recurring")) {
            return;
        }
        self.tables.push(TableName {
            name: name.to_owned(),
            schema: (!schema.is_empty()).then(|| schema.to_owned()),
            offset: self.offset(table),
        });
    }

    fn expression(&mut self, expression: &Map<String, Value>, class: &str) {
        if !EXPRESSIONS.contains(&class) {
            let what = if class == "PARAMETER" { "a parameter (`$1`, `?`)".to_owned() } else { format!("`{class}`") };
            return self.refuse(&what, expression);
        }
        if self.purpose == Purpose::Trusted {
            return;
        }
        if self.purpose == Purpose::Condition
            && let Some((_, what)) = NOT_IN_CONDITION.iter().find(|(known, _)| *known == class)
        {
            return self.refuse(&format!("{what} in a condition"), expression);
        }
        if class == "TYPE" && ["schema", "catalog"].iter().any(|key| field(expression, key) != "") {
            return self.refuse("a type of another schema", expression);
        }
        if matches!(class, "FUNCTION" | "WINDOW") {
            let name = field(expression, "function_name").as_str().unwrap_or_default();
            // One of DuckDB's own by its whole name goes around the macros of the store. What stands before a method, as in
            // `name.upper()`, looks like a schema.
            let is_of_system =
                field(expression, "schema").as_str().is_some_and(|name| name.eq_ignore_ascii_case("system"));
            if is_of_system || field(expression, "catalog") != "" {
                return self.refuse(&format!("`{name}()` by the name of its catalog"), expression);
            }
            if self.purpose == Purpose::Condition && is_aggregate(name) {
                return self.refuse(&format!("the aggregate `{name}()` in a condition"), expression);
            }
            // A table function hangs below its source as an expression, and was looked at there.
            if !computes(name) && !makes_rows(name) && !self.is_macro(name) {
                return self.refuse_function(name, expression);
            }
            if expression.get("export_state").is_some_and(|state| *state == true) {
                self.refuse("`EXPORT_STATE`", expression);
            }
        }
    }

    fn is_macro(&self, name: &str) -> bool {
        !is_refused(name) && self.macros.contains(&name.to_lowercase())
    }

    fn offset(&self, node: &Map<String, Value>) -> Option<usize> {
        let offset = node.get("query_location").and_then(Value::as_u64).and_then(|offset| usize::try_from(offset).ok());
        // DuckDB's "unknown" is the largest number.
        offset.filter(|offset| *offset < isize::MAX.unsigned_abs()).map(|offset| self.base.saturating_add(offset))
    }

    fn refuse_function(&mut self, name: &str, node: &Map<String, Value>) {
        let refusal = if is_refused(name) {
            Error::validation(format!("the function `{name}()` is not allowed here: SQL only reads its inputs"))
                .with_code(Code::SqlNotAllowed)
                .with_hint("read files and other sources in an extractor step, and name that step in `needs`")
        } else {
            Error::validation(format!("unknown function `{name}()`"))
                .with_code(Code::SqlFailed)
                .with_hint("use a function of DuckDB, or a macro that an earlier statement of the query defines")
        };
        self.keep(refusal, node);
    }

    fn refuse(&mut self, what: &str, node: &Map<String, Value>) {
        let refusal = match self.purpose {
            Purpose::Condition => Error::validation(format!("{what} is not allowed"))
                .with_code(Code::SqlNotAllowed)
                .with_hint("write one condition over the columns of a row, such as `year >= 2020 AND country = 'CZ'`"),
            _ => super::refusal(what),
        };
        self.keep(refusal, node);
    }

    fn keep(&mut self, refusal: Error, node: &Map<String, Value>) {
        let offset = self.offset(node).unwrap_or(self.base);
        self.refused.get_or_insert_with(|| refusal.with_context(OFFSET, offset));
    }
}

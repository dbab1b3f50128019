//! Types. A response is JSON: a column takes the type of its values, and widens where they differ. The types of the
//! server's schema serve discovery only.
//!
//! | JSON | column |
//! | --- | --- |
//! | true, false | BOOLEAN |
//! | a whole number | BIGINT, DECIMAL(38,0) where it is larger |
//! | a number with a fraction | DOUBLE where that is exactly what is written, else DECIMAL |
//! | a text (`ID`, `String`, `DateTime`, enums) | VARCHAR |
//! | an object of which the query selects fields | columns `a.b`; JSON with `flatten_result: false` |
//! | an object or a list in a field without a selection | JSON |
//! | a list | JSON |
//!
//! Nothing is rounded, and a number is never the same as its text: where no number type holds all values of a column
//! exactly, or its values are of several JSON types, it is JSON.

use std::collections::BTreeSet;

use osiris_core::ColumnType;
use osiris_http::{FieldTree, Nested, RowOptions};

use crate::query::Selected;

/// How rows become columns: by what the query selects, so that no column depends on what a JSON scalar holds. Where rows
/// that are searched for have an unknown selection, objects are flattened as they come.
pub(crate) fn row_options(selected: &[Selected], flatten: bool) -> RowOptions {
    let separator = ".".to_owned();
    RowOptions::new().with_nested(match flatten {
        true if selected.is_empty() => Nested::Flatten { separator, depth: None },
        true => Nested::Fields { separator, fields: tree(selected) },
        false => Nested::Json,
    })
}

fn tree(selected: &[Selected]) -> FieldTree {
    selected.iter().map(|field| (field.key.as_str(), tree(&field.inside))).collect()
}

/// The columns that the query selects, for a table without rows: their types are not known, so they are text.
pub(crate) fn promised(selected: &[Selected], flatten: bool) -> Vec<(String, ColumnType)> {
    let mut columns = Vec::new();
    collect(selected, flatten, "", &mut columns);
    columns
}

/// Lists cannot be distinguished from objects without the server's schema. These names are lists wherever they occur.
const LISTS: [&str; 3] = ["edges", "items", "nodes"];

fn collect(selected: &[Selected], flatten: bool, prefix: &str, columns: &mut Vec<(String, ColumnType)>) {
    for field in selected {
        let name = format!("{prefix}{}", field.key);
        let is_list = LISTS.contains(&field.field.as_str());
        match (field.inside.is_empty(), flatten && !is_list) {
            (true, _) => columns.push((name, ColumnType::Varchar)),
            (false, true) => collect(&field.inside, flatten, &format!("{name}."), columns),
            (false, false) => columns.push((name, ColumnType::Json)),
        }
    }
}

/// The fields that may be objects, by the names that a column of theirs would have.
pub(crate) fn objects(selected: &[Selected]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for field in selected.iter().filter(|field| !field.inside.is_empty()) {
        names.extend(objects(&field.inside).into_iter().map(|inner| format!("{}.{inner}", field.key)));
        names.insert(field.key.clone());
    }
    names
}

/// The normalised name of a scalar of the server's schema, by its name, in the form in which servers send it: `BigInt` and the
/// like are texts, since a number of JSON loses digits in many programs. Anything unknown is a text.
pub(crate) fn normalised(scalar: &str) -> &'static str {
    match scalar {
        "Int" | "Long" | "bigint" | "smallint" => "integer",
        "Float" | "Double" | "float8" => "double",
        "numeric" => "decimal",
        "Boolean" => "boolean",
        "Date" | "date" => "date",
        "DateTime" | "Timestamp" | "timestamptz" | "timestamp" => "timestamp",
        "JSON" | "JSONObject" | "jsonb" | "json" => "json",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    #[test]
    fn p10h_scalars_have_the_type_in_which_they_are_sent() {
        for scalar in ["BigInt", "UnsignedInt64", "BigFloat", "Decimal", "ID", "Cursor"] {
            assert_eq!(normalised(scalar), "string", "{scalar}");
        }
        assert_eq!((normalised("Int"), normalised("Float"), normalised("JSON")), ("integer", "double", "json"));
    }

    #[test]
    fn a_query_without_rows_still_promises_its_columns() {
        let text = "{ id owner { name: login } tags(first: 3) { nodes { id } } }";
        let query = Query::parse(text, None).unwrap();
        let names = |flatten| {
            let columns = promised(&query.selected, flatten);
            columns.into_iter().map(|(name, of)| format!("{name} {of}")).collect::<Vec<_>>()
        };
        assert_eq!(names(true), ["id VARCHAR", "owner.name VARCHAR", "tags.nodes JSON"]);
        let objects: Vec<String> = objects(&query.selected).into_iter().collect();
        assert_eq!(objects, ["owner", "tags", "tags.nodes"]);
        assert_eq!(names(false), ["id VARCHAR", "owner JSON", "tags JSON"]);
    }
}

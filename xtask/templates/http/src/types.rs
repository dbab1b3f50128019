//! The mapping of types: JSON to columns, exact or refused.
//!
//! | API | JSON | column |
//! | --- | --- | --- |
//! | `boolean` | true, false | BOOLEAN |
//! | `integer` | a whole number | BIGINT, DECIMAL where it is larger |
//! | `number` | a number with a fraction | DOUBLE where that is exact, else DECIMAL |
//! | `string` | a text | VARCHAR |
//! | `object` | an object | columns `a.b` |
//! | anything else | an array | JSON |

use osiris_http::{Nested, RowOptions};

/// How rows become columns.
pub(crate) fn row_options() -> RowOptions {
    RowOptions::new().with_nested(Nested::Flatten { separator: ".".to_owned(), depth: None })
}

/// The normalised name of a type of the API, for a catalog.
pub(crate) fn normalised(native: &str) -> &'static str {
    match native {
        "boolean" => "boolean",
        "integer" => "integer",
        "number" => "number",
        "string" => "string",
        "object" => "object",
        _ => "json",
    }
}

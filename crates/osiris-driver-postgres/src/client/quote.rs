//! Quotes names and strings in SQL.

/// Quotes a name in double quotes.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a table name with its schema.
pub fn quote_path(schema: &str, table: &str) -> String {
    format!("{}.{}", quote(schema), quote(table))
}

/// Quotes a string, for servers with and without `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_path("my schema", "t"), "\"my schema\".\"t\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("it's \\ here"), "E'it''s \\\\ here'");
    }
}

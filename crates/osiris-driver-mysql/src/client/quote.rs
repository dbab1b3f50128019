//! Quotes names and strings in SQL.

use super::SqlMode;

/// Quotes a name in backticks, which every sql_mode accepts.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quotes a string in single quotes for a session with this sql_mode.
pub(crate) fn literal(text: &str, mode: &SqlMode) -> String {
    let doubled = text.replace('\'', "''");
    let escaped = if mode.no_backslash_escapes { doubled } else { doubled.replace('\\', "\\\\") };
    format!("'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        assert_eq!(quote("a`b"), "`a``b`");
        let mut mode = SqlMode::default();
        assert_eq!(literal("it's \\ here", &mode), "'it''s \\\\ here'");
        mode.no_backslash_escapes = true;
        assert_eq!(literal("it's \\ here", &mode), "'it''s \\ here'");
    }
}

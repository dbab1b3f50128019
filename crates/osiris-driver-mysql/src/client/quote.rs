//! Names and texts as SQL has them.

use super::SqlMode;

/// A name in backticks, which every sql_mode understands.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in ticks, as a session with this sql_mode reads it.
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

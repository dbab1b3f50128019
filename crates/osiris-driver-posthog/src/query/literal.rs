//! Literals of HogQL. Every value from outside becomes one here.

/// A text in HogQL: single quotes, with quotes and backslashes escaped by a backslash.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

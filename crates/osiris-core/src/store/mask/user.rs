//! Errors that SQL raises itself with `error()` and `assert_true()`: DuckDB adds no word of its own to their messages, so
//! the store marks them.

use crate::secret::MASK;
use crate::store::quote_text;

/// Marks the messages of `error()`, which `assert_true()` calls as well.
pub(in crate::store) const ERROR_MACRO: &str =
    "CREATE OR REPLACE MACRO error(message) AS system.main.error('error(): ' || message)";
const MARK: &str = "error(): ";
/// What `assert_true()` puts before its message, and says without one.
const ASSERTION: [&str; 2] = ["Assertion: ", "Assertion failed"];

/// The message of an error that SQL has raised itself.
pub(super) fn message(text: &str) -> Option<&str> {
    text.strip_prefix(MARK)
}

/// The message without what may come from a cell: what is a text in `sql` stays, as a whole or at the beginning.
pub(super) fn mask(message: &str, sql: &str) -> String {
    if message == ASSERTION[1] || sql.contains(&quote_text(message)) {
        return message.to_owned();
    }
    if let Some(message) = message.strip_prefix(ASSERTION[0]) {
        return format!("{}{}", ASSERTION[0], mask(message, sql));
    }
    let start = beginnings(sql).filter(|start| message.starts_with(start.as_str())).max_by_key(String::len);
    start.unwrap_or_default() + MASK
}

/// The texts that stand first in a call of `error()`.
fn beginnings(sql: &str) -> impl Iterator<Item = String> {
    let lower = sql.to_ascii_lowercase();
    let calls: Vec<usize> = lower.match_indices("error").map(|(at, word)| at + word.len()).collect();
    calls.into_iter().filter_map(|at| {
        let mut rest = sql[at..].trim_start().strip_prefix('(')?.trim_start().strip_prefix('\'')?;
        let mut text = String::new();
        loop {
            let (part, after) = rest.split_once('\'')?;
            text.push_str(part);
            let Some(after) = after.strip_prefix('\'') else { return Some(text) };
            text.push('\'');
            rest = after;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_has_written_stays_and_what_a_cell_adds_does_not() {
        let sql =
            "SELECT error('no orders'), Error ( 'it''s ' || name), assert_true(a, 'a is false'), error(name) FROM t";
        for (message, shown) in [
            ("no orders", "no orders"),
            ("it's Jane", "it's ***"),
            ("Assertion: a is false", "Assertion: a is false"),
            ("Assertion: Jane", "Assertion: ***"),
            ("Assertion failed", "Assertion failed"),
            ("Jane", "***"),
        ] {
            assert_eq!(mask(message, sql), shown);
        }
        assert_eq!(mask("no orders", ""), "***");
    }
}

//! Which server errors are about a row, so that the row is a reject. The codes:
//! <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-codes/>.

use super::answer::Warning;

/// Whether an error is about the rows that were sent, not about the table, the session or the server.
pub(super) fn is_about_rows(code: u16, state: &str) -> bool {
    // Data exceptions, violated constraints, and errors raised by triggers; but not "disk full", a deadlock or a
    // missing privilege.
    const CODES: [u16; 22] = [
        1048, // column cannot be null
        1062, // duplicate entry
        1118, // row too large
        1153, // packet too large
        1264, // out of range
        1265, // data truncated
        1292, // truncated incorrect value
        1301, // result larger than max_allowed_packet
        1366, // incorrect value
        1367, // illegal value while parsing
        1406, // data too long
        1411, // incorrect value for a function
        1416, // no geometry
        1451, 1452, // foreign key
        1525, // incorrect value
        1526, 1748, // no partition for the value
        1644, // signal
        3140, 3819, // JSON, check constraint (MySQL)
        3988, // a character that the character set of the column lacks (MySQL)
    ];
    const MARIADB_CHECK: u16 = 4025;
    const NOT_ROWS: [u16; 2] = [1205, 1213];
    if NOT_ROWS.contains(&code) {
        return false;
    }
    CODES.contains(&code)
        || code == MARIADB_CHECK
        || state.starts_with("22")
        || state.starts_with("23")
        || state.starts_with("45")
}

/// Whether a warning is not about the data: deprecated syntax, statements that are unsafe to replicate.
pub(super) fn is_harmless(warning: &Warning) -> bool {
    const CODES: [u16; 6] = [1287, 1592, 1618, 1681, 3719, 3778];
    CODES.contains(&warning.code)
}

/// The column of an error, and its message without the row number of the chunk.
pub(super) fn reason(message: &str) -> (Option<String>, String) {
    let text = match message.rfind(" at row ") {
        Some(at) if message[at + 8..].bytes().all(|byte| byte.is_ascii_digit()) => &message[..at],
        _ => message,
    };
    (column(text), text.to_owned())
}

/// The last part of the quoted name after `column`.
fn column(text: &str) -> Option<String> {
    let at = text.find("olumn '").or_else(|| text.find("olumn `"))?;
    let quoted = &text[at + 6..];
    let quote = quoted.chars().next()?;
    let name = match quote {
        '`' => quoted
            .split(['`'])
            .filter(|part| !part.is_empty() && *part != ".")
            .take_while(|part| !part.starts_with(' '))
            .last()?,
        _ => quoted[1..].split(quote).next()?,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_about_rows_are_told_from_the_others() {
        for code in [1048, 1062, 1264, 1366, 1406, 1452, 4025, 3140] {
            assert!(is_about_rows(code, "HY000"), "{code}");
        }
        assert!(is_about_rows(9999, "22007"));
        for (code, state) in [(1205, "HY000"), (1213, "40001"), (1021, "HY000"), (1114, "HY000"), (1142, "42000")] {
            assert!(!is_about_rows(code, state), "{code}");
        }
    }

    #[test]
    fn a_complaint_names_its_column() {
        for (message, expected) in [
            ("Column 'a b' cannot be null", Some("a b")),
            ("Out of range value for column 'n' at row 3", Some("n")),
            ("Incorrect integer value: 'x' for column `db`.`t`.`n` at row 1", Some("n")),
            ("Duplicate entry '1' for key 'PRIMARY'", None),
        ] {
            let (column, text) = reason(message);
            assert_eq!(column.as_deref(), expected, "{message}");
            assert!(!text.contains(" at row "));
        }
    }
}

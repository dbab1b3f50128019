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

/// Duplicate entries: of a key by its name, and of one that a foreign key or a computed column makes.
const DUPLICATES: [u16; 2] = [1062, 1586];

/// Whether a warning is not about the data: deprecated syntax, statements that are unsafe to replicate.
pub(super) fn is_harmless(warning: &Warning) -> bool {
    const CODES: [u16; 6] = [1287, 1592, 1618, 1681, 3719, 3778];
    CODES.contains(&warning.code)
}

/// Why the server does not take a row.
#[derive(Debug)]
pub(super) struct RowFault {
    /// The column that it names.
    pub(super) column: Option<String>,
    /// Its message, without the row number of the chunk and without the value of a key: rows that collide by the same key
    /// have the same reason.
    pub(super) reason: String,
    /// The unique key by which the row collides with another, as the server names it: `PRIMARY`, or `table.PRIMARY`.
    pub(super) key: Option<String>,
}

impl RowFault {
    /// From the code and the message of an error or of a warning.
    pub(super) fn of(code: u16, message: &str) -> Self {
        let text = match message.rfind(" at row ") {
            Some(at) if message[at + 8..].bytes().all(|byte| byte.is_ascii_digit()) => &message[..at],
            _ => message,
        };
        let collides = DUPLICATES.contains(&code);
        let reason = if collides { crate::error::without_values(code, text) } else { text.to_owned() };
        Self { column: column(text), key: if collides { key(text) } else { None }, reason }
    }
}

/// The name of the key in `Duplicate entry 'x' for key 'name'`.
fn key(text: &str) -> Option<String> {
    let (_, quoted) = text.rsplit_once(" for key '")?;
    quoted.strip_suffix('\'').filter(|name| !name.is_empty()).map(str::to_owned)
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
        for (code, message, expected) in [
            (1048, "Column 'a b' cannot be null", Some("a b")),
            (1264, "Out of range value for column 'n' at row 3", Some("n")),
            (1366, "Incorrect integer value: 'x' for column `db`.`t`.`n` at row 1", Some("n")),
            (1062, "Duplicate entry '1' for key 'PRIMARY'", None),
        ] {
            let fault = RowFault::of(code, message);
            assert_eq!(fault.column.as_deref(), expected, "{message}");
            assert!(!fault.reason.contains(" at row "));
        }
    }

    #[test]
    fn a_collision_names_its_key_and_not_the_value() {
        for (message, expected, key) in [
            ("Duplicate entry 'T-1' for key 'tax_id'", "Duplicate entry '***' for key 'tax_id'", Some("tax_id")),
            ("Duplicate entry 'it's' for key 't.u'", "Duplicate entry '***' for key 't.u'", Some("t.u")),
            ("Doppelter Eintrag 'x'", "Doppelter Eintrag '***'", None),
        ] {
            let fault = RowFault::of(1062, message);
            assert_eq!((fault.reason.as_str(), fault.key.as_deref()), (expected, key));
        }
        assert_eq!(RowFault::of(1366, "Incorrect value: 'a' for key 'b'").key, None);
    }
}

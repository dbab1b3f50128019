//! The server's response to a statement without rows: counts, warnings, an error; or a lost connection.

use mysql_async::Conn;
use osiris_core::Error;

/// The result of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Affected rows.
    pub(super) affected: u64,
    /// The numbers of its `info` line by name, such as `Records: 3  Duplicates: 1  Warnings: 0`, by name.
    pub(super) info: Vec<(String, u64)>,
    /// The number of warnings, at most 65,535.
    pub(super) warnings: u16,
}

impl Done {
    /// A number of the `info` line.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.info.iter().find(|(found, _)| found == name).map(|(_, number)| *number)
    }
}

/// One line of `SHOW WARNINGS`.
#[derive(Debug, Clone)]
pub(super) struct Warning {
    pub(super) code: u16,
    pub(super) message: String,
}

/// A failed statement: rejected by the server, or the connection is lost.
#[derive(Debug)]
pub(super) enum StatementError {
    /// An error from the server; the session is usable.
    Server { code: u16, state: String, message: String },
    /// Any other error; the session is unusable.
    Lost(Error),
}

impl StatementError {
    /// Converts it to an error of the step.
    pub(super) fn into_error(self, doing: &str) -> Error {
        match self {
            Self::Server { code, state, message } => crate::error::server_error(code, &state, &message, doing),
            Self::Lost(error) => error,
        }
    }
}

impl Done {
    /// The last response.
    pub(super) fn of(conn: &Conn) -> Self {
        Self { affected: conn.affected_rows(), info: numbers(&conn.info()), warnings: conn.get_warnings() }
    }
}

/// `Records: 3  Duplicates: 1` as names and numbers.
fn numbers(info: &str) -> Vec<(String, u64)> {
    let parts: Vec<&str> = info.split(':').collect();
    let name = |part: &str| part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').trim().to_owned();
    parts
        .windows(2)
        .filter_map(|pair| {
            let digits: String = pair[1].trim_start().chars().take_while(char::is_ascii_digit).collect();
            Some((name(pair[0]), digits.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_info_line_is_read_by_name() {
        let found = numbers("Records: 3  Deleted: 0  Skipped: 1  Warnings: 12");
        assert_eq!(
            found.iter().map(|(name, n)| (name.as_str(), *n)).collect::<Vec<_>>(),
            [("Records", 3), ("Deleted", 0), ("Skipped", 1), ("Warnings", 12)]
        );
        assert_eq!(numbers("Rows matched: 5  Changed: 2  Warnings: 0")[0], ("Rows matched".to_owned(), 5));
        assert!(numbers("").is_empty());
    }
}

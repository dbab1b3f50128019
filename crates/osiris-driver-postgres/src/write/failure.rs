//! A failed statement: rejected by the server, because of rows or otherwise; or the connection is lost. The codes:
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use osiris_core::Error;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::{postgres_error, server_error};

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum StatementError {
    /// An error from the server; the session is usable.
    Server(ServerError),
    /// Any other error; the session is unusable.
    Lost(Error),
}

/// An error from the server.
#[derive(Debug, Clone)]
pub(super) struct ServerError {
    pub(super) state: String,
    pub(super) message: String,
    column: Option<Box<str>>,
    constraint: Option<Box<str>>,
    context: Option<Box<str>>,
    routine: Option<Box<str>>,
}

impl StatementError {
    /// Converts an sqlx error that occurred while `doing` something.
    pub(super) fn of(error: sqlx::Error, doing: &str) -> Self {
        let said = match &error {
            sqlx::Error::Database(database) => database.try_downcast_ref::<PgDatabaseError>(),
            _ => None,
        };
        match said {
            Some(said) if !ends_session(said) => Self::Server(ServerError {
                state: said.code().to_owned(),
                message: said.message().to_owned(),
                column: said.column().map(Box::from),
                constraint: said.constraint().map(Box::from),
                context: said.r#where().map(Box::from),
                routine: said.routine().map(Box::from),
            }),
            _ => Self::Lost(postgres_error(error, doing)),
        }
    }

    /// Converts it to an error of the step.
    pub(super) fn into_error(self, doing: &str) -> Error {
        match self {
            Self::Server(refusal) => server_error(&refusal.state, &refusal.message, doing),
            Self::Lost(error) => error,
        }
    }
}

fn ends_session(said: &PgDatabaseError) -> bool {
    let fatal = matches!(said.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    fatal || said.code().starts_with("08") || said.code().starts_with("57P")
}

impl ServerError {
    /// Whether it is about the rows that were sent, not about the table, the session or the server.
    pub(super) fn is_about_rows(&self) -> bool {
        match self.state.as_str() {
            // The check of a view or a policy; a row too large for a page or an index; an error raised by a trigger.
            "44000" | "54000" | "P0001" => true,
            "42501" => self.routine.as_deref() == Some("ExecWithCheckOptions"),
            state => state.starts_with("22") || state.starts_with("23"),
        }
    }

    /// Whether a key occurred twice in one statement.
    pub(super) fn is_cardinality(&self) -> bool {
        self.state == "21000"
    }

    /// The unique constraint by which a row collides with another.
    pub(super) fn violated_key(&self) -> Option<&str> {
        self.constraint.as_deref().filter(|_| self.state == "23505")
    }

    /// The column and the message.
    pub(super) fn reason(&self) -> (Option<String>, String) {
        let column = self.column.as_deref().map(str::to_owned).or_else(|| copied_column(self.context.as_deref()?));
        (column, self.message.clone())
    }

    /// The failing row of a COPY, from 0. Only a hint: some checks run later than their row.
    pub(super) fn row(&self) -> Option<usize> {
        // `COPY t, line 3, column b`, in the server's language; the name may have any characters, so the number after
        // the last comma that one follows.
        let line = self.context.as_deref()?.lines().find(|line| line.starts_with("COPY "))?;
        let number =
            line.split(", ").skip(1).find_map(|part| part.rsplit(' ').next()?.trim_end_matches(':').parse().ok());
        number.and_then(|line: usize| line.checked_sub(1))
    }
}

/// The column in `COPY t, line 3, column b`.
fn copied_column(context: &str) -> Option<String> {
    let line = context.lines().find(|line| line.starts_with("COPY "))?;
    let name = line.split(", column ").nth(1)?;
    Some(name.split(": ").next().unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(state: &str, context: &str) -> ServerError {
        ServerError {
            state: state.to_owned(),
            message: "no".to_owned(),
            column: None,
            constraint: None,
            context: Some(context.into()),
            routine: None,
        }
    }

    #[test]
    fn complaints_about_rows_are_told_from_the_others() {
        for state in ["23505", "23503", "23502", "23514", "22P02", "22003", "22001", "44000", "P0001"] {
            assert!(refusal(state, "").is_about_rows(), "{state}");
        }
        for state in ["40P01", "55P03", "57014", "53100", "42501", "42703", "21000", "25006"] {
            assert!(!refusal(state, "").is_about_rows(), "{state}");
        }
    }

    #[test]
    fn the_row_and_column_of_a_copy_are_read() {
        let with_column = refusal("22P02", "COPY t, line 3, column b");
        assert_eq!((with_column.row(), with_column.reason().0.as_deref()), (Some(2), Some("b")));
        let with_value = refusal("22P02", "COPY t, line 12, column b: \"x\"\nmore");
        assert_eq!((with_value.row(), with_value.reason().0.as_deref()), (Some(11), Some("b")));
        let of_trigger = refusal("P0001", "PL/pgSQL function f() line 4 at RAISE\nCOPY t, line 9");
        assert_eq!((of_trigger.row(), of_trigger.reason().0), (Some(8), None));
        assert_eq!(refusal("23503", "SQL statement \"SELECT 1\"").row(), None);
        assert_eq!(refusal("22P02", "COPY t, Zeile 3, Spalte b").row(), Some(2));
    }
}

//! The read-only transaction of a reader, with one snapshot, and the time limit of its statements.

use std::time::Duration;

use osiris_core::{Error, Result};

use crate::client::Session;
use crate::error::server_code;

const CONTEXT: &str = "starting the read transaction";

/// The statement that limits the time of the statements that follow, in a session of MariaDB or of MySQL.
fn limit_sql(limit: Duration, is_mariadb: bool) -> String {
    if is_mariadb {
        // Seconds, with up to six decimal places; 0 is no limit.
        return format!("SET SESSION max_statement_time = {:.6}", limit.as_secs_f64().max(0.000_001));
    }
    // Milliseconds; 0 is no limit.
    format!("SET SESSION max_execution_time = {}", limit.as_millis().max(1))
}

/// Begins the transaction. The session is not used again by another step if its statements are limited.
///
/// # Errors
/// What the server says.
pub(super) async fn begin(session: &mut Session, statement_timeout: Option<Duration>) -> Result<()> {
    if let Some(limit) = statement_timeout {
        session.retire();
        let limited = session.execute(&limit_sql(limit, session.facts().mariadb), "setting `statement_timeout`").await;
        limited.map_err(unless_unknown)?;
    }
    // For the next transaction only: the session's level is unchanged.
    session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", CONTEXT).await?;
    session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", CONTEXT).await?;
    Ok(())
}

/// The error of a limit that could not be set: a server that does not know the variable has no such limit.
fn unless_unknown(error: Error) -> Error {
    const UNKNOWN_VARIABLE: u16 = 1193;
    if server_code(&error) != Some(UNKNOWN_VARIABLE) {
        return error;
    }
    Error::validation("the server does not support `statement_timeout`")
        .with_hint("remove it, or set a limit for the account on the server")
        .with_source(error)
}

/// Ends the transaction and returns the session.
///
/// # Errors
/// What the server says.
pub(super) async fn end(mut session: Session) -> Result<()> {
    session.execute("COMMIT", "ending the read transaction").await?;
    session.release().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_in_the_unit_of_its_server_and_never_zero() {
        for (limit, mysql, mariadb) in [
            (Duration::from_millis(1500), "max_execution_time = 1500", "max_statement_time = 1.500000"),
            (Duration::from_micros(1), "max_execution_time = 1", "max_statement_time = 0.000001"),
            (Duration::from_nanos(1), "max_execution_time = 1", "max_statement_time = 0.000001"),
        ] {
            assert_eq!(limit_sql(limit, false), format!("SET SESSION {mysql}"));
            assert_eq!(limit_sql(limit, true), format!("SET SESSION {mariadb}"));
        }
    }

    #[test]
    fn only_a_variable_that_is_unknown_means_that_the_server_has_no_limit() {
        use crate::error::server_error;

        let error = |code, state| unless_unknown(server_error(code, state, "no", "setting `statement_timeout`"));
        assert!(error(1193, "HY000").message().contains("does not support `statement_timeout`"));
        for (code, state) in [(1227, "42000"), (1231, "42000"), (1205, "HY000"), (1927, "70100")] {
            let error = error(code, state);
            assert_eq!((error.message(), server_code(&error)), ("setting `statement_timeout`: no", Some(code)));
        }
        let lost = unless_unknown(Error::network("the connection was lost").with_connection_failed());
        assert!(lost.is_connection_failed());
    }
}

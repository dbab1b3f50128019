//! Identifies a session of a server. An id is not enough: behind a load balancer, or after a restart, the same
//! id belongs to another client. Only builds SQL; the caller runs it.

use serde::{Deserialize, Serialize};

/// A session that can be identified over another connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The connection id on the server.
    pub(crate) id: u64,
    /// The client address with port, as seen by the server, such as `10.0.0.5:40112`.
    host: String,
    /// Its account: an account only sees its own sessions.
    user: String,
    server: Server,
}

/// A server instance since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Server {
    /// Names and numbers that are unique to the server.
    name: String,
    /// Its start in seconds since 1970, plus or minus one.
    started: Option<i64>,
}

/// Two queries may be on either side of a second.
const TOLERANCE: i64 = 2;

impl Identity {
    /// The first query. `SHOW` omits variables that the server lacks.
    pub(crate) const SERVER: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
        ('server_uuid', 'server_uid', 'hostname', 'port', 'server_id', 'pid_file')";
    /// The second query.
    pub(crate) const UPTIME: &str = "SHOW GLOBAL STATUS LIKE 'Uptime'";
    /// The third query: this session and the server's clock.
    pub(crate) const SESSION: &str = "SELECT CONNECTION_ID(), UNIX_TIMESTAMP(), \
        (SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()), CURRENT_USER()";

    /// Builds the identity from the results of the three queries.
    pub(crate) fn of(
        server: &[Vec<Option<String>>],
        uptime: &[Vec<Option<String>>],
        session: &[Vec<Option<String>>],
    ) -> Self {
        let text = |row: &[Option<String>], at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let session = session.first().map(Vec::as_slice).unwrap_or_default();
        let mut names: Vec<String> = server.iter().map(|row| format!("{}={}", text(row, 0), text(row, 1))).collect();
        names.sort();
        let uptime: Option<i64> = uptime.first().and_then(|row| text(row, 1).parse().ok());
        let clock: Option<i64> = text(session, 1).parse().ok();
        Self {
            id: text(session, 0).parse().unwrap_or(0),
            host: text(session, 2),
            user: text(session, 3),
            server: Server { name: names.join(" "), started: clock.zip(uptime).map(|(clock, uptime)| clock - uptime) },
        }
    }

    /// Whether `other` is a session of the same server, not restarted in between. Unknown values do not match.
    pub(crate) fn is_of_same_server(&self, other: &Self) -> bool {
        let started = self.server.started.zip(other.server.started);
        !self.server.name.is_empty()
            && self.server.name == other.server.name
            && started.is_some_and(|(one, two)| (one - two).abs() <= TOLERANCE)
    }

    /// Whether the server has been restarted since, so that this session has certainly ended.
    pub(crate) fn ended_with_the_server(&self, other: &Self) -> bool {
        let started = self.server.started.zip(other.server.started);
        !self.server.name.is_empty()
            && self.server.name == other.server.name
            && started.is_some_and(|(one, two)| two - one > TOLERANCE)
    }

    /// Whether `other` could see this session: it has the same account.
    pub(crate) fn is_of_same_account(&self, other: &Self) -> bool {
        self.user == other.user
    }

    /// The query for this session and its command: one row or none. Must be run by the same account.
    pub(crate) fn find(&self) -> String {
        format!(
            "SELECT COMMAND FROM information_schema.PROCESSLIST WHERE ID = {} AND HOST = '{}' \
             AND USER = SUBSTRING_INDEX(USER(), '@', 1)",
            self.id,
            self.host.replace(['\\', '\''], "")
        )
    }

    /// The statement that kills it.
    pub(crate) fn kill(&self) -> String {
        format!("KILL {}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uuid: &str, uptime: i64, clock: i64) -> Identity {
        let row = |fields: &[&str]| fields.iter().map(|&field| Some(field.to_owned())).collect::<Vec<_>>();
        Identity::of(
            &[row(&["port", "3306"]), row(&["server_uuid", uuid])],
            &[row(&["Uptime", &uptime.to_string()])],
            &[row(&["7", &clock.to_string(), "10.0.0.5:40112"])],
        )
    }

    #[test]
    fn s42_a_number_of_another_server_or_of_a_server_that_was_restarted_is_not_ours() {
        let ours = identity("a", 1000, 50_000);
        assert!(ours.is_of_same_server(&identity("a", 1031, 50_030)));
        assert!(!ours.is_of_same_server(&identity("b", 1031, 50_030)), "another server");
        assert!(!ours.is_of_same_server(&identity("a", 5, 50_030)), "started again");
        assert!(ours.ended_with_the_server(&identity("a", 5, 50_030)));
        assert!(!ours.ended_with_the_server(&identity("a", 1031, 50_030)));
        assert!(!ours.ended_with_the_server(&identity("b", 5, 50_030)));
        assert!(!Identity::default().is_of_same_server(&Identity::default()), "nothing is known");
        assert!(ours.find().contains("ID = 7 AND HOST = '10.0.0.5:40112'"));
    }
}

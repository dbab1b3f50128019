//! Version, settings and account of the server that statements depend on.

use osiris_core::Result;
use sqlx::MySqlConnection;

use super::session::rows;

/// A server, as seen by one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerInfo {
    /// As the server reports it: `10.11.6-MariaDB-0+deb12u1`.
    pub(crate) version: String,
    /// MariaDB or MySQL.
    pub(crate) mariadb: bool,
    /// The version in numbers.
    pub(crate) number: (u16, u16, u16),
    /// The default sql_mode of sessions.
    pub(crate) sql_mode: SqlMode,
    /// Whether LOAD DATA LOCAL is allowed.
    pub(crate) local_infile: bool,
    /// The largest packet in bytes.
    pub(crate) max_allowed_packet: u64,
    /// The server's time zone.
    pub(crate) time_zone: String,
    /// 0: names are case-sensitive; 1: stored in lower case; 2: compared in lower case.
    pub(crate) lower_case_table_names: u8,
    /// The character set of new databases.
    pub(crate) charset: String,
    /// The account as matched by the server: `reader@%`.
    pub(crate) account: String,
    /// The TLS version, if the connection is encrypted.
    pub(crate) tls: Option<String>,
}

/// The flags of an sql_mode that change how statements are parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SqlMode {
    /// As the server writes it.
    pub(crate) text: String,
    /// `"` quotes names, not strings.
    pub(crate) ansi_quotes: bool,
    /// `\` is an ordinary character.
    pub(crate) no_backslash_escapes: bool,
    /// `||` concatenates strings.
    pub(crate) pipes_as_concat: bool,
    /// A space is allowed between a function and its parenthesis.
    pub(crate) ignore_space: bool,
    /// NOT binds more tightly.
    pub(crate) high_not_precedence: bool,
}

impl SqlMode {
    fn parse(text: &str) -> Self {
        let has = |flag: &str| text.split(',').any(|one| one.eq_ignore_ascii_case(flag));
        Self {
            ansi_quotes: has("ANSI_QUOTES"),
            no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
            pipes_as_concat: has("PIPES_AS_CONCAT"),
            ignore_space: has("IGNORE_SPACE"),
            high_not_precedence: has("HIGH_NOT_PRECEDENCE"),
            text: text.to_owned(),
        }
    }
}

impl ServerInfo {
    /// Whether the server has at least this version; MariaDB and MySQL have different numbers.
    pub(crate) fn at_least(&self, mariadb: (u16, u16, u16), mysql: (u16, u16, u16)) -> bool {
        self.number >= if self.mariadb { mariadb } else { mysql }
    }

    /// Reads them over a connection configured for reading.
    pub(super) async fn read(connection: &mut MySqlConnection) -> Result<Self> {
        const CONTEXT: &str = "reading the server's version and settings";
        let answer = rows(
            connection,
            "SELECT VERSION(), @@version_comment, @@sql_mode, @@local_infile, @@max_allowed_packet, @@global.time_zone, \
             @@system_time_zone, @@lower_case_table_names, @@character_set_server, CURRENT_USER()",
            CONTEXT,
        )
        .await?;
        let status = rows(connection, "SHOW SESSION STATUS LIKE 'Ssl_version'", CONTEXT).await?;
        let field = |index: usize| answer.first().and_then(|row| row.get(index)?.clone()).unwrap_or_default();
        let version = field(0);
        let mariadb = version.contains("MariaDB") || field(1).contains("MariaDB");
        let zone = field(5);
        Ok(Self {
            number: version_number(&version),
            version,
            mariadb,
            sql_mode: SqlMode::parse(&field(2)),
            local_infile: matches!(field(3).as_str(), "1" | "ON"),
            max_allowed_packet: field(4).parse().unwrap_or(1 << 20),
            time_zone: if zone.eq_ignore_ascii_case("SYSTEM") { field(6) } else { zone },
            lower_case_table_names: field(7).parse().unwrap_or(0),
            charset: field(8),
            account: field(9),
            tls: status.first().and_then(|row| row.get(1)?.clone()).filter(|version| !version.is_empty()),
        })
    }
}

/// `10.11.6-MariaDB` and `5.5.5-10.4.1-MariaDB` (for compatibility with old clients) and `8.4.0`.
fn version_number(text: &str) -> (u16, u16, u16) {
    let text = text.strip_prefix("5.5.5-").filter(|rest| rest.contains("MariaDB")).unwrap_or(text);
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_servers_write_them() {
        for (text, expected) in [
            ("10.11.6-MariaDB-0+deb12u1", (10, 11, 6)),
            ("5.5.5-10.4.12-MariaDB", (10, 4, 12)),
            ("8.4.0", (8, 4, 0)),
            ("9.1.0-commercial", (9, 1, 0)),
            ("5.7.44-log", (5, 7, 44)),
            ("", (0, 0, 0)),
        ] {
            assert_eq!(version_number(text), expected, "{text}");
        }
    }

    #[test]
    fn an_sql_mode_is_its_flags() {
        let mode = SqlMode::parse("STRICT_TRANS_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES");
        assert!(mode.ansi_quotes && mode.no_backslash_escapes && !mode.pipes_as_concat);
        assert_eq!(SqlMode::parse(""), SqlMode::default());
    }

    #[test]
    fn the_two_servers_count_their_versions_apart() {
        let mut facts = ServerInfo { mariadb: true, number: (10, 11, 6), ..ServerInfo::default() };
        assert!(facts.at_least((10, 6, 0), (8, 0, 19)));
        facts.mariadb = false;
        facts.number = (8, 0, 18);
        assert!(!facts.at_least((10, 6, 0), (8, 0, 19)));
    }
}

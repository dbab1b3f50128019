//! Connection URLs: `scheme://user:password@host:port/database?parameter=value`. No message shows any part of them.
//!
//! The only `@` stands between the password and the host. A parser of URLs would end the address at the first `#`, `/` or `?`
//! of a password, and show the rest of it as a host or a database; here a URL with such a character is refused.

use std::net::Ipv6Addr;

use osiris_core::Secret;
use percent_encoding::percent_decode_str;

/// The URLs of one database.
#[derive(Debug, Clone, Copy)]
pub struct DsnFormat {
    /// Their schemes, each of which may name a client: `mysql` is also `mysql+pymysql`.
    pub schemes: &'static [&'static str],
    /// One of them, for messages.
    pub example: &'static str,
    /// What to write for a server behind a Unix socket, such as [`NO_SOCKETS`], for messages.
    pub socket: &'static str,
}

/// What to write for a server behind a Unix socket where the driver has none.
pub const NO_SOCKETS: &str = "Unix sockets are not supported: write a host name";

/// The parts of a connection URL, decoded; what it leaves out is `None`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DsnParts {
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// Host name or IP address, without brackets.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// The database.
    pub database: Option<String>,
    /// Names and values after the `?`. A value may be a password.
    pub parameters: Vec<(String, Secret)>,
}

impl DsnParts {
    /// Parses a connection URL.
    ///
    /// # Errors
    /// When it is invalid, or when it is unclear where its password ends; the message does not show it.
    pub fn parse(dsn: &Secret, format: DsnFormat) -> Result<Self, String> {
        let text = dsn.expose().trim();
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let scheme = scheme.split_once('+').map_or(scheme, |(base, _)| base);
        if !format.schemes.contains(&scheme) {
            return Err(format!("invalid DSN: expected `{}`", format.example));
        }
        let (address, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if rest.contains('#') || path.contains('@') || address.matches('@').count() > 1 {
            return Err("invalid DSN: `#`, `/`, `?` and `@` in the password or another part must be percent-encoded: \
                        `%23`, `%2F`, `%3F`, `%40`"
                .to_owned());
        }
        let mut parts = Self::default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match address.split_once('@') {
            Some((account, server)) => {
                parts.set_account(account)?;
                parts.set_server(server, format)?;
            }
            None => parts.set_server(address, format)?,
        }
        let database = path.trim_start_matches('/');
        if database.contains('/') {
            return Err(
                "invalid DSN: one database, without a table, stands after the host; a `/` in its name is `%2F`"
                    .to_owned(),
            );
        }
        parts.database = decoded(database)?;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = Secret::new(decoded(value)?.unwrap_or_default());
            parts.parameters.push((decoded(name)?.unwrap_or_default(), value));
        }
        Ok(parts)
    }

    fn set_account(&mut self, text: &str) -> Result<(), String> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        self.user = decoded(user)?;
        self.password = decoded(password)?.map(Secret::new);
        Ok(())
    }

    fn set_server(&mut self, text: &str, format: DsnFormat) -> Result<(), String> {
        const PORT: &str = "invalid DSN: the port is not a number from 1 to 65535";
        let invalid = |problem: &str| format!("invalid DSN: {problem}");
        // Each may have a port of its own: they are counted before one is looked for.
        if text.contains(',') {
            return Err(invalid(MANY_HOSTS));
        }
        let port = match text.strip_prefix('[') {
            Some(text) => {
                let (host, port) = text.split_once(']').ok_or_else(|| invalid(NO_HOST))?;
                self.host = Some(host.parse::<Ipv6Addr>().map_err(|_| invalid(NO_HOST))?.to_string());
                if port.is_empty() { port } else { port.strip_prefix(':').ok_or_else(|| invalid(NO_HOST))? }
            }
            None => {
                let (host, port) = text.split_once(':').unwrap_or((text, ""));
                self.host = decoded(host)?;
                port
            }
        };
        if let Some(problem) = self.host.as_deref().and_then(|host| problem_of_host(host, format.socket)) {
            return Err(invalid(&problem));
        }
        if !port.is_empty() {
            let number = port.parse().ok().filter(|number| *number > 0 && !port.starts_with('+'));
            self.port = Some(number.ok_or(PORT)?);
        }
        Ok(())
    }
}

/// A `dsn`, parsed by a driver; what is wrong with it is added to `problems`.
pub fn parsed<T>(
    dsn: Option<Secret>,
    parse: impl FnOnce(&Secret) -> Result<T, String>,
    problems: &mut Vec<String>,
) -> Option<T> {
    parse(&dsn?).map_err(|found| problems.push(format!("`dsn`: {found}"))).ok()
}

/// The problem of a `dsn` beside fields that it replaces. Each of `fields` comes with whether it is set.
pub fn conflict(fields: &[(&str, bool)]) -> Option<String> {
    let set = fields.iter().filter(|(_, is_set)| *is_set);
    let names: Vec<String> = set.map(|(name, _)| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("`dsn` conflicts with {}: set one or the other", names.join(", ")))
}

const MANY_HOSTS: &str = "it names more than one host: write one host name or IP address";
const NO_HOST: &str = "the host is not a host name or an IP address";

/// What is wrong with the field `name`, whose value is that of a host; an IPv6 address may be in brackets. `socket` says what to write
/// for a server behind a Unix socket.
pub fn host_problem(name: &str, host: &str, socket: &str) -> Option<String> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    problem_of_host(host, socket).map(|problem| format!("`{name}`: {problem}"))
}

/// What is wrong with a host, without showing it.
fn problem_of_host(host: &str, socket: &str) -> Option<String> {
    let is_forbidden = |c: char| c.is_whitespace() || c.is_control() || "<>/\\^|[]".contains(c);
    match host {
        host if host.contains(',') => Some(MANY_HOSTS.to_owned()),
        host if host.starts_with('/') => Some(format!("{NO_HOST}: it is a path ({socket})")),
        host if host.contains(is_forbidden) => Some(NO_HOST.to_owned()),
        _ => None,
    }
}

/// The text of a part; `None` for one that is empty.
fn decoded(text: &str) -> Result<Option<String>, String> {
    let is_encoded = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_encoded) {
        return Err("invalid DSN: a `%` in the password or another part must be percent-encoded: `%25`".to_owned());
    }
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| "invalid DSN: a `%` sequence is not UTF-8".to_owned())?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMAT: DsnFormat = DsnFormat {
        schemes: &["db", "database"],
        example: "db://user:password@host:1/database",
        socket: "write a name",
    };

    fn parse(text: &str) -> Result<DsnParts, String> {
        DsnParts::parse(&Secret::new(text), FORMAT)
    }

    #[test]
    fn every_part_is_taken_and_decoded() {
        let dsn =
            parse(" db+client://etl.x:p%40s%3As%2Fw+@db.example.com:3307/my%20db?a=%2Frun%2Fs+t&b&a=2\n").unwrap();
        assert_eq!((dsn.host.as_deref(), dsn.port), (Some("db.example.com"), Some(3307)));
        assert_eq!((dsn.user.as_deref(), dsn.database.as_deref()), (Some("etl.x"), Some("my db")));
        assert_eq!(dsn.password.as_ref().map(Secret::expose), Some("p@s:s/w+"));
        let parameters: Vec<_> = dsn.parameters.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(parameters, [("a", "/run/s+t"), ("b", ""), ("a", "2")]);
    }

    #[test]
    fn what_is_left_out_is_none() {
        let dsn = parse("database://db.example.com").unwrap();
        assert_eq!((dsn.host.as_deref(), dsn.port, dsn.user, dsn.database), (Some("db.example.com"), None, None, None));
        assert!(dsn.password.is_none() && dsn.parameters.is_empty());
        let dsn = parse("db://u:@[0:0::1]:5433?a=b").unwrap();
        assert_eq!((dsn.host.as_deref(), dsn.port, dsn.user.as_deref()), (Some("::1"), Some(5433), Some("u")));
        assert!(dsn.password.is_none());
        assert_eq!(parse("db:///d").unwrap().host, None);
    }

    #[test]
    fn what_is_wrong_is_said_without_showing_it() {
        for (text, expected) in [
            ("host=h user=u password=hunter2", "expected `db://"),
            ("other://u:hunter2@h/d", "expected `db://"),
            ("db://u:hunter2@h:port/d", "the port is not a number"),
            ("db://u:hunter2@h:0/d", "the port is not a number"),
            ("db://u:hunter2@h:+1/d", "the port is not a number"),
            ("db://u:hunter2", "the port is not a number"),
            ("db://u:hunter2@[::x]/d", "the host is not"),
            ("db://u:hunter2@[::1]hunter2/d", "the host is not"),
            ("db://u:hunter2@h%20x/d", "the host is not"),
            ("db://u:hunter2@h/d/t", "without a table"),
            ("db://u:hunter2@h1,h2/d", "more than one host: write one"),
            ("db://u:hunter2@h1:1,h2:2/d", "more than one host: write one"),
            ("db://u:hunter2@[::1]:1,[::2]:2/d", "more than one host: write one"),
            ("db://u:hunter2@h1%2Ch2/d", "more than one host: write one"),
            ("db://u:hunter2@h%2Fx/d", "the host is not a host name or an IP address"),
            ("db://u:hunter2@%2Frun%2Fdb/d", "an IP address: it is a path (write a name)"),
            ("db://u:%ff@h/d", "UTF-8"),
            ("db://u:hunter2%@h/d", "`%25`"),
            ("db://u:hunter2%4@h/d", "`%25`"),
            ("db://u:hunter2%zz@h/d", "`%25`"),
            ("db://u:hunter2%é@h/d", "`%25`"),
            ("db://u%:hunter2@h/d", "`%25`"),
            ("db://u:hunter2@h%/d", "`%25`"),
            ("db://u:hunter2@h/d%", "`%25`"),
            ("db://u:hunter2@h/d?a=50%", "`%25`"),
            ("db://u:hunter2@h/d?a%=b", "`%25`"),
            ("db://u:hunter2#x@h/d", "`%23`"),
            ("db://u:12/hunter2@h/d", "`%2F`"),
            ("db://u:12?hunter2@h/d", "`%3F`"),
            ("db://u:12@hunter2@h/d", "`%40`"),
            ("db://u:hunter2@h/d?a=x@y", "`%40`"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("hunter2"), "{text}: {problem}");
        }
    }

    #[test]
    fn a_host_in_a_field_is_checked_like_one_in_a_dsn() {
        let problem = |host: &str| host_problem("host", host, NO_SOCKETS);
        for host in ["db.example.com", "db_1", "127.0.0.1", "::1", "[::1]", "fe80::1%eth0"] {
            assert_eq!(problem(host), None, "{host}");
        }
        for (host, expected) in [
            (
                "/run/db",
                "`host`: the host is not a host name or an IP address: it is a path (Unix sockets are not supported",
            ),
            ("h1,h2", "`host`: it names more than one host: write one"),
            ("https://h", "`host`: the host is not"),
            ("h x", "`host`: the host is not"),
            ("[h", "`host`: the host is not"),
        ] {
            let problem = problem(host).unwrap();
            assert!(problem.starts_with(expected) && !problem.contains("run") && !problem.contains("h1"), "{problem}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", parse("db://u:hunter2@h/d?password=hunter2").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_field_beside_a_dsn_is_named() {
        assert_eq!(conflict(&[("host", false), ("port", false)]), None);
        let problem = conflict(&[("host", true), ("port", false), ("user", true)]);
        assert_eq!(problem.as_deref(), Some("`dsn` conflicts with `host`, `user`: set one or the other"));
    }

    proptest! {
        /// `%` is written by none of them before two hexadecimal digits, which would be another character.
        #[test]
        fn a_password_is_taken_exactly_or_refused_without_being_shown(password in "[#/?@:+&=%\\[\\]\\\\ \tQXZů]{1,24}") {
            match parse(&format!("db://etl:{password}@db.example.com:3306/shop?a=b")) {
                Ok(dsn) => {
                    prop_assert_eq!(dsn.password.as_ref().map(Secret::expose), Some(password.as_str()));
                    prop_assert_eq!((dsn.host.as_deref(), dsn.port), (Some("db.example.com"), Some(3306)));
                    prop_assert_eq!((dsn.user.as_deref(), dsn.database.as_deref()), (Some("etl"), Some("shop")));
                    prop_assert_eq!(dsn.parameters.len(), 1);
                }
                Err(problem) => {
                    prop_assert!(problem.contains("percent-encoded"), "{}", problem);
                    let characters: Vec<char> = password.chars().collect();
                    for piece in characters.windows(3).map(|piece| piece.iter().collect::<String>()) {
                        prop_assert!(!problem.contains(&piece), "{:?} is in {}", piece, problem);
                    }
                }
            }
        }

        #[test]
        fn an_encoded_password_is_taken_exactly(password in "\\PC{1,24}") {
            let encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
            let dsn = parse(&format!("db://etl:{encoded}@h/d")).unwrap();
            prop_assert_eq!(dsn.password.as_ref().map(Secret::expose), Some(password.as_str()));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "db://\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}

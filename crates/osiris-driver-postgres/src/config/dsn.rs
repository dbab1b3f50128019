//! Connection URLs, as dashboards show them: `postgresql://user:password@host:port/database?sslmode=require`.
//! No message shows any part of them.

use osiris_core::Secret;
use osiris_sql::dsn::{DsnFormat, DsnParts, NO_SOCKETS, host_problem};
use osiris_sql::tls::{DsnTls, TlsMode};

use super::ServerAddress;

const FORMAT: DsnFormat = DsnFormat {
    schemes: &["postgresql", "postgres"],
    example: "postgresql://user:password@host:5432/database",
    socket: NO_SOCKETS,
};

/// A parsed connection URL.
#[derive(Debug)]
#[non_exhaustive]
pub struct Dsn {
    /// The address of the server and the credentials.
    pub address: ServerAddress,
    /// Whether it names the database.
    pub names_database: bool,
    /// `sslmode` and `sslrootcert`.
    pub tls: DsnTls,
}

impl Dsn {
    /// Parses it. Missing parts have the defaults of [`ServerAddress::new`].
    ///
    /// # Errors
    /// When it is invalid; the message does not show it.
    pub fn parse(dsn: &Secret) -> Result<Self, String> {
        let parts = DsnParts::parse(dsn, FORMAT)?;
        if let Some(problem) = parts.parameters.iter().find_map(|(name, value)| host_parameter(name, value.expose())) {
            return Err(problem);
        }
        let Some(host) = parts.host else { return Err("invalid DSN: it needs a host".to_owned()) };
        let mut address = ServerAddress::new(&host);
        address.port = parts.port.unwrap_or(address.port);
        address.password = parts.password;
        let names_database = parts.database.is_some();
        address.user = parts.user.unwrap_or(address.user);
        address.database = parts.database.unwrap_or(address.database);
        let mut parsed = Self { address, names_database, tls: DsnTls::default() };
        for (name, value) in parts.parameters {
            parsed.parameter(&name, value)?;
        }
        Ok(parsed)
    }

    fn parameter(&mut self, name: &str, value: Secret) -> Result<(), String> {
        let text = value.expose();
        match name {
            "sslmode" => self.tls.set_mode(name, mode(text)?),
            "sslrootcert" => self.tls.set_ca(name, text),
            "user" if !text.is_empty() => text.clone_into(&mut self.address.user),
            "password" => self.address.password = Some(value),
            "dbname" if !text.is_empty() => {
                text.clone_into(&mut self.address.database);
                self.names_database = true;
            }
            // `prefer` allows for its absence, and is the default of libpq.
            "channel_binding" if ["disable", "prefer"].contains(&text) => {}
            "channel_binding" => {
                return Err(
                    "`channel_binding` is not supported: leave it out; `sslmode=verify-full` verifies the server"
                        .to_owned(),
                );
            }
            // Empty ones, and parameters for other clients: here they are detected, or have their own fields.
            "user" | "dbname" | "pgbouncer" | "application_name" | "connect_timeout" | "connection_limit"
            | "pool_timeout" => {}
            _ => {
                return Err(
                    "unknown parameter; known parameters: `sslmode`, `sslrootcert`, and those of poolers".to_owned()
                );
            }
        }
        Ok(())
    }
}

/// What to do instead of a parameter that names the host, as libpq has it.
fn host_parameter(name: &str, value: &str) -> Option<String> {
    if !matches!(name, "host" | "hostaddr") {
        return None;
    }
    let problem = host_problem(name, value, NO_SOCKETS);
    Some(match problem {
        Some(problem) => format!("invalid DSN: {problem}"),
        None => format!("invalid DSN: `{name}` is not supported as a parameter: write the host before the database"),
    })
}

/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>; `allow` is treated as `prefer`.
fn mode(text: &str) -> Result<TlsMode, String> {
    Ok(match text {
        "disable" => TlsMode::Disabled,
        "allow" | "prefer" => TlsMode::Preferred,
        "require" => TlsMode::Required,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => {
            return Err("`sslmode` must be one of disable, allow, prefer, require, verify-ca, verify-full".to_owned());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dsn, String> {
        Dsn::parse(&Secret::new(text))
    }

    #[test]
    fn every_part_is_taken_and_decoded() {
        let dsn =
            parse("postgresql://postgres.ref:p%40s%3As%2Fw@aws-0-eu.pooler.example.com:6543/my%20db?sslmode=require")
                .unwrap();
        assert_eq!(dsn.address.to_string(), "aws-0-eu.pooler.example.com:6543");
        assert_eq!((dsn.address.user.as_str(), dsn.address.database.as_str()), ("postgres.ref", "my db"));
        assert_eq!(dsn.address.password.as_ref().map(Secret::expose), Some("p@s:s/w"));
        assert_eq!(dsn.tls.mode(), Some(TlsMode::Required));
    }

    #[test]
    fn what_is_left_out_has_the_documented_defaults() {
        let dsn = parse("postgres://db.example.com").unwrap();
        assert_eq!(
            (dsn.address.port, dsn.address.user.as_str(), dsn.address.database.as_str()),
            (5432, "postgres", "postgres")
        );
        let dsn = parse("postgres://u@[::1]:5433/d?pgbouncer=true").unwrap();
        assert_eq!((dsn.address.host.as_str(), dsn.address.to_string().as_str()), ("::1", "[::1]:5433"));
        for wish in ["disable", "prefer"] {
            assert!(parse(&format!("postgres://h?channel_binding={wish}")).is_ok(), "{wish}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_showing_it() {
        for (text, expected) in [
            ("host=h user=u password=hunter2", "expected `postgresql://"),
            ("mysql://u:hunter2@h/d", "expected `postgresql://"),
            ("postgres://u:hunter2@/d", "it needs a host"),
            ("postgres://u:hunter2@h/d?sslmode=yes", "verify-full"),
            ("postgres://u:hunter2@h/d?hunter2=1", "unknown parameter"),
            ("postgres://u:hunter2@h/d?sslmode=require&channel_binding=require", "`channel_binding` is not supported"),
            ("postgres://u:hunter2@h/d?channel_binding=hunter2", "leave it out; `sslmode=verify-full`"),
            ("postgres://u:p/hunter2@h/d", "`%2F`"),
            (
                "postgres://u:hunter2@%2Frun%2Fpostgresql/d",
                "a path (Unix sockets are not supported: write a host name)",
            ),
            (
                "postgres://u:hunter2@/d?host=/run/hunter2",
                "`host`: the host is not a host name or an IP address: it is a path",
            ),
            ("postgres://u:hunter2@/d?host=%2Frun%2Fhunter2", "Unix sockets are not supported: write a host name"),
            ("postgres://u@/d?host=hunter2,h2", "`host`: it names more than one host"),
            ("postgres://u@h/d?hostaddr=hunter2", "`hostaddr` is not supported as a parameter: write the host before"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("hunter2"), "{text}: {problem}");
        }
    }
}

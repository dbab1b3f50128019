//! Connection URLs, as dashboards show them: `postgresql://user:password@host:port/database?sslmode=require`.
//! No message shows any part of them.

use osiris_core::Secret;
use osiris_sql::tls::TlsMode;
use percent_encoding::percent_decode_str;
use url::Url;

use super::ServerAddress;

/// A parsed connection URL.
#[derive(Debug)]
#[non_exhaustive]
pub struct Dsn {
    /// The address of the server and the credentials.
    pub address: ServerAddress,
    /// Whether it names the database.
    pub names_database: bool,
    /// `sslmode`.
    pub tls: Option<TlsMode>,
    /// `sslrootcert`.
    pub ca: Option<String>,
}

impl Dsn {
    /// Parses it. Missing parts have the defaults of [`ServerAddress::new`].
    ///
    /// # Errors
    /// When it is invalid; the message does not show it.
    pub fn parse(dsn: &Secret) -> Result<Self, String> {
        let text = dsn.expose().trim();
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err("invalid DSN: expected `postgresql://user:password@host:5432/database`".to_owned());
        }
        let url = Url::parse(text).map_err(|_| {
            "invalid DSN: it needs a host, and special characters of the password are written as `%` and two hexadecimal digits, \
             such as `%40` for `@`"
                .to_owned()
        })?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("no host")?;
        let mut parsed = Self {
            address: ServerAddress {
                host: decoded(host.trim_start_matches('[').trim_end_matches(']'))?,
                port: url.port().unwrap_or(5432),
                user: decoded(url.username())?,
                password: url.password().map(|password| decoded(password).map(Secret::new)).transpose()?,
                database: decoded(url.path().trim_start_matches('/'))?,
            },
            names_database: false,
            tls: None,
            ca: None,
        };
        for (name, value) in url.query_pairs() {
            parsed.parameter(&name, &value)?;
        }
        let address = &mut parsed.address;
        parsed.names_database = !address.database.is_empty();
        for (field, default) in [(&mut address.user, "postgres"), (&mut address.database, "postgres")] {
            if field.is_empty() {
                default.clone_into(field);
            }
        }
        Ok(parsed)
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "sslmode" => self.tls = Some(mode(value)?),
            "sslrootcert" => self.ca = Some(value.to_owned()),
            "user" => value.clone_into(&mut self.address.user),
            "password" => self.address.password = Some(Secret::new(value)),
            "dbname" => value.clone_into(&mut self.address.database),
            // Parameters for other clients; here they are detected, or have their own fields.
            "pgbouncer" | "application_name" | "connect_timeout" | "connection_limit" | "pool_timeout" => {}
            _ => {
                return Err(
                    "unknown parameter; known parameters: `sslmode`, `sslrootcert`, and those of poolers".to_owned()
                );
            }
        }
        Ok(())
    }
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

fn decoded(text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(|text| text.into_owned()).map_err(|_| "a `%` sequence is not UTF-8".to_owned())
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
        assert_eq!(dsn.tls, Some(TlsMode::Required));
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
    }

    #[test]
    fn what_is_wrong_is_said_without_showing_it() {
        for (text, expected) in [
            ("host=h user=u password=hunter2", "expected `postgresql://"),
            ("mysql://u:hunter2@h/d", "expected `postgresql://"),
            ("postgres://u:hunter2@/d", "it needs a host"),
            ("postgres://u:hunter2@h/d?sslmode=yes", "verify-full"),
            ("postgres://u:hunter2@h/d?hunter2=1", "unknown parameter"),
            ("postgres://u:hunter2@h:port/d", "it needs a host"),
            ("postgres://u:%ff@h/d", "UTF-8"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("hunter2"), "{text}: {problem}");
        }
    }
}

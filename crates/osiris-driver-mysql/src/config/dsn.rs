//! Connection URLs: `mysql://user:password@host:port/database?ssl-mode=REQUIRED`. No message shows any part of them.

use osiris_core::Secret;
use osiris_sql::tls::TlsMode;
use percent_encoding::percent_decode_str;
use url::Url;

/// The schemes of a connection URL; SQLAlchemy adds its driver, as in `mysql+pymysql`.
const SCHEMES: [&str; 2] = ["mysql", "mariadb"];

/// A parsed connection URL; what it leaves out is `None`.
#[derive(Debug, Default)]
pub(super) struct Dsn {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) socket: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<String>,
    pub(super) tls: Option<TlsMode>,
    pub(super) ca: Option<String>,
}

impl Dsn {
    /// Parses it.
    ///
    /// # Errors
    /// When it is invalid; the message does not show it.
    pub(super) fn parse(dsn: &Secret) -> Result<Self, String> {
        let text = dsn.expose().trim();
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.split_once('+').map_or(scheme, |(base, _)| base));
        if !scheme.is_some_and(|scheme| SCHEMES.contains(&scheme)) {
            return Err("invalid DSN: expected `mysql://user:password@host:3306/database`".to_owned());
        }
        let url = Url::parse(text).map_err(|_| {
            "invalid DSN: special characters of the password are written as `%` and two hexadecimal digits, such as `%40` \
             for `@`"
                .to_owned()
        })?;
        let host =
            url.host_str().map(|host| decoded(host.trim_start_matches('[').trim_end_matches(']'))).transpose()?;
        let mut parsed = Self {
            host: host.flatten(),
            port: url.port(),
            user: decoded(url.username())?,
            password: url.password().map(decoded).transpose()?.flatten().map(Secret::new),
            database: decoded(url.path().trim_start_matches('/'))?,
            ..Self::default()
        };
        if parsed.database.as_ref().is_some_and(|database| database.contains('/')) {
            return Err("invalid DSN: one database, without a table, stands after the host".to_owned());
        }
        for (name, value) in url.query_pairs() {
            parsed.parameter(&name, &value)?;
        }
        if parsed.host.is_none() && parsed.socket.is_none() {
            return Err("invalid DSN: it needs a host".to_owned());
        }
        Ok(parsed)
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "ssl-mode" | "ssl_mode" | "sslmode" => self.tls = Some(mode(value)?),
            "ssl-ca" | "ssl_ca" => self.ca = Some(value.to_owned()),
            "socket" | "unix_socket" => self.socket = Some(value.to_owned()),
            "charset" if ["utf8mb4", "utf8", "utf8mb3"].contains(&value.to_ascii_lowercase().as_str()) => {}
            "charset" => return Err("`charset` must be utf8mb4".to_owned()),
            _ => {
                return Err("unknown parameter; known parameters: `ssl-mode`, `ssl-ca`, `socket`, `charset`".to_owned());
            }
        }
        Ok(())
    }
}

/// <https://dev.mysql.com/doc/refman/8.4/en/connection-options.html#option_general_ssl-mode>
fn mode(text: &str) -> Result<TlsMode, String> {
    Ok(match text.to_ascii_lowercase().replace('-', "_").as_str() {
        "disabled" => TlsMode::Disabled,
        "preferred" => TlsMode::Preferred,
        "required" => TlsMode::Required,
        "verify_ca" => TlsMode::VerifyCa,
        "verify_identity" => TlsMode::VerifyFull,
        _ => {
            return Err(
                "`ssl-mode` must be one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY".to_owned()
            );
        }
    })
}

/// The text of a part; `None` for one that is empty.
fn decoded(text: &str) -> Result<Option<String>, String> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| "a `%` sequence is not UTF-8".to_owned())?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dsn, String> {
        Dsn::parse(&Secret::new(text))
    }

    #[test]
    fn every_part_is_taken_and_decoded() {
        let dsn = parse("mysql+pymysql://etl:p%40s%3As@db.example.com:3307/my%20db?ssl-mode=REQUIRED&charset=utf8mb4")
            .unwrap();
        assert_eq!((dsn.host.as_deref(), dsn.port), (Some("db.example.com"), Some(3307)));
        assert_eq!((dsn.user.as_deref(), dsn.database.as_deref()), (Some("etl"), Some("my db")));
        assert_eq!(dsn.password.as_ref().map(Secret::expose), Some("p@s:s"));
        assert_eq!(dsn.tls, Some(TlsMode::Required));
        let dsn = parse("mariadb://root@localhost/d?socket=%2Frun%2Fmysqld.sock&ssl_ca=ca.pem").unwrap();
        assert_eq!((dsn.socket.as_deref(), dsn.ca.as_deref()), (Some("/run/mysqld.sock"), Some("ca.pem")));
        assert_eq!((dsn.port, dsn.password.is_none()), (None, true));
    }

    #[test]
    fn what_is_wrong_is_said_without_showing_it() {
        for (text, expected) in [
            ("host=h user=u password=hunter2", "expected `mysql://"),
            ("postgres://u:hunter2@h/d", "expected `mysql://"),
            ("mysql:///hunter2", "needs a host"),
            ("mysql://u:hunter2@h/d?ssl-mode=yes", "VERIFY_IDENTITY"),
            ("mysql://u:hunter2@h/d?hunter2=1", "unknown parameter"),
            ("mysql://u:hunter2@h/d?charset=hunter2", "utf8mb4"),
            ("mysql://u:hunter2@h:port/d", "hexadecimal"),
            ("mysql://u:hunter2@h/d/t", "without a table"),
            ("mysql://u:%ff@h/d", "UTF-8"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("hunter2"), "{text}: {problem}");
        }
    }
}

//! Connection URLs: `mysql://user:password@host:port/database?ssl-mode=REQUIRED`. No message shows any part of them.

use osiris_core::Secret;
use osiris_sql::dsn::{DsnFormat, DsnParts};
use osiris_sql::tls::{DsnTls, TlsMode};

const FORMAT: DsnFormat = DsnFormat {
    schemes: &["mysql", "mariadb"],
    example: "mysql://user:password@host:3306/database",
    socket: "for a Unix socket, leave the host out and write `?socket=PATH` after the database",
};

/// A parsed connection URL; what it leaves out is `None`.
#[derive(Debug, Default)]
pub(super) struct Dsn {
    pub(super) parts: DsnParts,
    pub(super) socket: Option<String>,
    pub(super) tls: DsnTls,
}

impl Dsn {
    /// Parses it.
    ///
    /// # Errors
    /// When it is invalid; the message does not show it.
    pub(super) fn parse(dsn: &Secret) -> Result<Self, String> {
        let mut parsed = Self { parts: DsnParts::parse(dsn, FORMAT)?, ..Self::default() };
        for (name, value) in std::mem::take(&mut parsed.parts.parameters) {
            parsed.parameter(&name, value.expose())?;
        }
        if parsed.parts.host.is_none() && parsed.socket.is_none() {
            return Err("invalid DSN: it needs a host".to_owned());
        }
        Ok(parsed)
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "ssl-mode" | "ssl_mode" | "sslmode" => self.tls.set_mode(name, mode(value)?),
            "ssl-ca" | "ssl_ca" => self.tls.set_ca(name, value),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dsn, String> {
        Dsn::parse(&Secret::new(text))
    }

    #[test]
    fn every_parameter_is_taken() {
        let dsn = parse("mysql+pymysql://etl:p%40s%3As@db.example.com:3307/my%20db?ssl-mode=REQUIRED&charset=utf8mb4")
            .unwrap();
        assert_eq!((dsn.parts.host.as_deref(), dsn.parts.port), (Some("db.example.com"), Some(3307)));
        assert_eq!(dsn.tls.mode(), Some(TlsMode::Required));
        let dsn = parse("mariadb://root@localhost/d?socket=%2Frun%2Fmysqld.sock&ssl_ca=ca.pem").unwrap();
        assert_eq!((dsn.socket.as_deref(), dsn.tls.ca()), (Some("/run/mysqld.sock"), Some("ca.pem")));
        assert_eq!(parse("mysql:///d?socket=s").unwrap().parts.host, None);
    }

    #[test]
    fn what_is_wrong_is_said_without_showing_it() {
        for (text, expected) in [
            ("postgres://u:hunter2@h/d", "expected `mysql://"),
            ("mysql:///hunter2", "needs a host"),
            ("mysql://u:hunter2@h/d?ssl-mode=yes", "VERIFY_IDENTITY"),
            ("mysql://u:hunter2@h/d?hunter2=1", "unknown parameter"),
            ("mysql://u:hunter2@h/d?charset=hunter2", "utf8mb4"),
            ("mysql://u:p#hunter2@h/d", "`%23`"),
            ("mysql://u:hunter2@%2Frun%2Fmysqld.sock/d", "it is a path (for a Unix socket, leave the host out"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("hunter2"), "{text}: {problem}");
        }
    }
}

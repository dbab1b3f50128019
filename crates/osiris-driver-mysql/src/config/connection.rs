//! The connection fields of `osiris_connections.yaml`, validated and combined into settings. No I/O.

use std::path::PathBuf;
use std::time::Duration;

use osiris_core::Secret;
use osiris_sql::tls::{Reach, Tls, TlsFields, TlsMode};
use schemars::JsonSchema;
use serde::Deserialize;

/// The fields as they are written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConnectionFields {
    /// Host name or IP address of the server.
    #[serde(default = "default_host")]
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    host: String,
    /// Port.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535), extend("x-override" = "address"))]
    port: u16,
    /// A Unix socket to use instead of `host` and `port`. Default: none.
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    socket: Option<String>,
    /// The database of table names without a schema. Default: none, and every table name needs its schema.
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    database: Option<String>,
    /// The user.
    #[serde(default = "default_user")]
    #[schemars(length(min = 1), extend("x-source" = false, "x-aliases" = ["username"], "x-override" = "address"))]
    user: String,
    /// The user's password. Default: none.
    password: Option<Secret>,
    /// The character set of the connection. It is always utf8mb4, whatever the tables use;
    /// `utf8` and `utf8mb3` are accepted as aliases. Default: `utf8mb4`.
    #[serde(default)]
    #[expect(dead_code, reason = "its type refuses other sets; there is nothing to be done with these")]
    #[schemars(extend("x-source" = false))]
    charset: Charset,
    /// Connect timeout in seconds, including TLS and authentication.
    #[serde(default = "default_connect_timeout")]
    #[schemars(range(min = 0.001, max = 3600.0), extend("x-source" = false))]
    connect_timeout: f64,
    /// Read timeout in seconds: how long to wait for more data from the server.
    #[serde(default = "default_read_timeout")]
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    read_timeout: f64,
    /// Idle connections that the pool keeps for steps that run at the same time. Default: 5.
    #[schemars(range(min = 1, max = 1000), extend("x-source" = false))]
    pool_size: Option<u16>,
    /// Connections beyond `pool_size` that are opened when all are busy and closed after use. Default: 10.
    #[schemars(range(max = 1000), extend("x-source" = false))]
    max_overflow: Option<u16>,
    /// Maximum number of connections, all of them kept. Replaces `pool_size` and `max_overflow`. Default: their sum.
    #[schemars(range(min = 1, max = 2000), extend("x-source" = false))]
    max_connections: Option<u16>,
    /// Seconds after which an idle connection is replaced by a new one; -1: never.
    #[serde(default = "default_pool_recycle")]
    #[schemars(range(min = -1), extend("x-source" = false))]
    pool_recycle: i64,
    /// Whether an idle connection is pinged before it is used again.
    #[serde(default = "default_true")]
    #[schemars(extend("x-source" = false))]
    pool_pre_ping: bool,
    /// `disabled`, `preferred` (encrypted if the server supports it), `required` (encrypted, not verified), `verify-ca`
    /// (the certificate is signed by a trusted CA), `verify-full` (and matches `host`). Default: `required`;
    /// `preferred` for a host that is this machine; `verify-full` with a CA.
    #[schemars(extend("x-source" = false))]
    tls: Option<TlsMode>,
    #[serde(flatten)]
    ssl: TlsFields,
    /// Whether to log statements, at debug level.
    #[serde(default)]
    #[schemars(extend("x-source" = false))]
    echo: bool,
}

/// The character set of the connection.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Charset {
    #[default]
    Utf8mb4,
    Utf8,
    Utf8mb3,
}

fn default_host() -> String {
    "localhost".to_owned()
}

fn default_port() -> u16 {
    3306
}

fn default_user() -> String {
    "root".to_owned()
}

fn default_connect_timeout() -> f64 {
    10.0
}

fn default_read_timeout() -> f64 {
    30.0
}

fn default_pool_recycle() -> i64 {
    3600
}

fn default_true() -> bool {
    true
}

/// A MySQL or MariaDB server and the account to use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "ConnectionFields")]
#[schemars(with = "ConnectionFields")]
pub struct MysqlConnection {
    pub(crate) address: Address,
    pub(crate) database: Option<String>,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) pool: PoolLimits,
    pub(crate) tls: Tls,
    pub(crate) echo: bool,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// By TCP.
    Tcp { host: String, port: u16 },
    /// By a Unix socket.
    Socket(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The limits of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolLimits {
    /// Idle connections to keep.
    pub(crate) size: usize,
    /// Further connections that may be open.
    pub(crate) overflow: usize,
    /// Maximum age of an idle connection; `None`: no limit.
    pub(crate) recycle: Option<Duration>,
    /// Whether an idle connection is pinged before use.
    pub(crate) pre_ping: bool,
}

impl PoolLimits {
    /// The maximum number of connections.
    pub(crate) fn capacity(&self) -> usize {
        self.size + self.overflow
    }
}

impl TryFrom<ConnectionFields> for MysqlConnection {
    type Error = String;

    fn try_from(fields: ConnectionFields) -> Result<Self, String> {
        let mut problems = Vec::new();
        let address = match &fields.socket {
            Some(path) => Address::Socket(PathBuf::from(path)),
            None => Address::Tcp { host: fields.host.clone(), port: fields.port },
        };
        if fields.max_connections.is_some() && (fields.pool_size.is_some() || fields.max_overflow.is_some()) {
            problems
                .push("`max_connections` conflicts with `pool_size` and `max_overflow`: set one or the other".into());
        }
        let (size, overflow) = match fields.max_connections {
            Some(size) => (size, 0),
            None => (fields.pool_size.unwrap_or(5), fields.max_overflow.unwrap_or(10)),
        };
        let reach = if fields.socket.is_some() { Reach::Socket } else { Reach::of_host(&fields.host) };
        let tls = Tls::combine(fields.tls, fields.ssl, reach, &mut problems);
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        Ok(Self {
            address,
            database: fields.database,
            user: fields.user,
            password: fields.password,
            connect_timeout: Duration::try_from_secs_f64(fields.connect_timeout).map_err(|error| error.to_string())?,
            read_timeout: Duration::try_from_secs_f64(fields.read_timeout).map_err(|error| error.to_string())?,
            pool: PoolLimits {
                size: size.into(),
                overflow: overflow.into(),
                recycle: u64::try_from(fields.pool_recycle).ok().map(Duration::from_secs),
                pre_ping: fields.pool_pre_ping,
            },
            tls,
            echo: fields.echo,
        })
    }
}

#[cfg(test)]
mod tests {
    use osiris_core::ConfigSchema;
    use serde_json::{Value, json};

    use super::*;

    fn parse(fields: Value) -> Result<MysqlConnection, String> {
        let problems = ConfigSchema::of::<MysqlConnection>().violations(&fields);
        if !problems.is_empty() {
            return Err(format!("{problems:?}"));
        }
        ConfigSchema::parse(&fields).map_err(|problem| problem.message)
    }

    #[test]
    fn an_empty_connection_has_the_documented_defaults() {
        let connection = parse(json!({})).unwrap();
        assert_eq!(connection.address.to_string(), "localhost:3306");
        assert_eq!((connection.user.as_str(), connection.database), ("root", None));
        assert_eq!((connection.connect_timeout.as_secs(), connection.read_timeout.as_secs()), (10, 30));
        assert_eq!(connection.pool.capacity(), 15);
        assert_eq!(connection.pool.recycle, Some(Duration::from_secs(3600)));
        assert_eq!(connection.tls.mode, TlsMode::Preferred);
        assert_eq!(parse(json!({"host": "db.example.com"})).unwrap().tls.mode, TlsMode::Required);
    }

    #[test]
    fn max_connections_stands_instead_of_the_two() {
        let pool = parse(json!({"max_connections": 3, "pool_recycle": -1})).unwrap().pool;
        assert_eq!((pool.size, pool.overflow, pool.recycle), (3, 0, None));
        let problem = parse(json!({"max_connections": 3, "pool_size": 1})).unwrap_err();
        assert!(problem.contains("conflicts with `pool_size`"), "{problem}");
    }

    #[test]
    fn all_contradictions_are_told_at_once() {
        let problem = parse(json!({"max_connections": 3, "pool_size": 1, "ssl_key": "k"})).unwrap_err();
        assert!(problem.contains("`max_connections`") && problem.contains("`ssl_cert`"), "{problem}");
    }

    #[test]
    fn unknown_fields_charsets_and_ports_are_refused() {
        for (fields, wanted) in [
            (json!({"hots": "h"}), "host"),
            (json!({"charset": "latin1"}), "utf8mb4"),
            (json!({"port": 0}), "too small"),
            (json!({"tls": "yes"}), "verify-full"),
        ] {
            let problem = parse(fields).unwrap_err();
            assert!(problem.contains(wanted), "{problem}");
        }
    }

    #[test]
    fn the_password_is_a_secret_and_does_not_show() {
        let schema = ConfigSchema::of::<MysqlConnection>();
        assert!(schema.is_secret("password"));
        assert_eq!(schema.field_named("username"), Some("user"));
        let connection = parse(json!({"password": "hunter2"})).unwrap();
        assert!(!format!("{connection:?}").contains("hunter2"));
    }
}

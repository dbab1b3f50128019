//! The connection as `osiris_connections.yaml` has it, and what it means once its fields are put together. No I/O here.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use osiris_core::Secret;
use osiris_sql::tls::{Reach, Ssl, Tls, TlsFields, TlsMode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

/// A MySQL or MariaDB server and who asks it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConnectionFields {
    /// The server's name or address.
    #[serde(default = "default_host")]
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    host: String,
    /// Its port.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535), extend("x-override" = "address"))]
    port: u16,
    /// A Unix socket to use instead of `host` and `port`. Default: none.
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    socket: Option<String>,
    /// The database that table names without a schema mean. Default: none, and every table name needs its schema.
    #[schemars(length(min = 1), extend("x-override" = "address"))]
    database: Option<String>,
    /// The user.
    #[serde(default = "default_user")]
    #[schemars(length(min = 1), extend("x-source" = false, "x-aliases" = ["username"], "x-override" = "address"))]
    user: String,
    /// The user's password. Default: none.
    password: Option<Secret>,
    /// The character set of the connection. Values arrive as UTF-8 whatever the tables use, so it is always utf8mb4;
    /// `utf8` and `utf8mb3` are accepted and mean the same. Default: `utf8mb4`.
    #[serde(default)]
    #[expect(dead_code, reason = "its type refuses other sets; there is nothing to be done with these")]
    #[schemars(extend("x-source" = false))]
    charset: Charset,
    /// How long connecting may take, TLS and sign-in included, in seconds.
    #[serde(default = "default_connect_timeout")]
    #[schemars(range(min = 0.001, max = 3600.0), extend("x-source" = false))]
    connect_timeout: f64,
    /// How long the server may be silent in the middle of an answer, in seconds.
    #[serde(default = "default_read_timeout")]
    #[schemars(range(min = 0.001, max = 86400.0), extend("x-source" = false))]
    read_timeout: f64,
    /// Connections that are kept for the steps that run at the same time. Default: 5.
    #[schemars(range(min = 1, max = 1000), extend("x-source" = false))]
    pool_size: Option<u16>,
    /// Connections beyond `pool_size` that are opened when all are busy and closed after use. Default: 10.
    #[schemars(range(max = 1000), extend("x-source" = false))]
    max_overflow: Option<u16>,
    /// The most connections at a time, all of them kept: instead of `pool_size` and `max_overflow`. Default: their sum.
    #[schemars(range(min = 1, max = 2000), extend("x-source" = false))]
    max_connections: Option<u16>,
    /// After how many seconds a kept connection is replaced by a new one; -1: never.
    #[serde(default = "default_pool_recycle")]
    #[schemars(range(min = -1), extend("x-source" = false))]
    pool_recycle: i64,
    /// Whether a kept connection is tried before it is used again.
    #[serde(default = "default_true")]
    #[schemars(extend("x-source" = false))]
    pool_pre_ping: bool,
    /// `disabled`, `preferred` (encrypted if the server can), `required` (encrypted, whoever the server is), `verify-ca` (its
    /// certificate is of a known authority), `verify-full` (and has the name of `host`). Default: `required`, and
    /// `preferred` for a host that is this machine itself; with a CA `verify-full`.
    #[schemars(extend("x-source" = false))]
    tls: Option<TlsMode>,
    /// A file with the certificates, in PEM, of the only authorities to be trusted. Default: those of the system.
    #[schemars(length(min = 1), extend("x-source" = false))]
    ssl_ca: Option<String>,
    /// A file with the client's own certificate, in PEM. Default: none.
    #[schemars(length(min = 1), extend("x-source" = false))]
    ssl_cert: Option<String>,
    /// A file with the key of `ssl_cert`, in PEM. Default: none.
    #[schemars(length(min = 1), extend("x-source" = false))]
    ssl_key: Option<String>,
    /// `true` is another way to say `tls: verify-full`. Default: false.
    #[schemars(extend("x-source" = false))]
    require_ssl: Option<bool>,
    /// Another way to write `tls`, `ssl_ca`, `ssl_cert` and `ssl_key`. Default: none.
    #[schemars(extend("x-source" = false))]
    ssl: Option<Ssl>,
    /// Whether statements are logged, at debug level.
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

/// A connection, its fields checked against each other.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "ConnectionFields")]
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

impl JsonSchema for MysqlConnection {
    fn schema_name() -> Cow<'static, str> {
        "MysqlConnection".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ConnectionFields::json_schema(generator)
    }
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

/// How many connections there may be, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolLimits {
    /// How many are kept when nobody uses them.
    pub(crate) size: usize,
    /// How many there may be besides.
    pub(crate) overflow: usize,
    /// When a kept one is too old; `None`: never.
    pub(crate) recycle: Option<Duration>,
    /// Whether a kept one is tried before use.
    pub(crate) pre_ping: bool,
}

impl PoolLimits {
    /// The most connections at a time.
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
            problems.push(
                "`max_connections` stands instead of `pool_size` and `max_overflow`: keep one or the other".into(),
            );
        }
        let (size, overflow) = match fields.max_connections {
            Some(size) => (size, 0),
            None => (fields.pool_size.unwrap_or(5), fields.max_overflow.unwrap_or(10)),
        };
        let tls = Tls::combine(TlsFields {
            mode: fields.tls,
            ca: fields.ssl_ca,
            cert: fields.ssl_cert,
            key: fields.ssl_key,
            require_ssl: fields.require_ssl,
            ssl: fields.ssl,
            reach: if fields.socket.is_some() { Reach::Socket } else { Reach::of_host(&fields.host) },
        })
        .unwrap_or_else(|found| {
            problems.extend(found);
            Tls::default()
        });
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
        assert!(problem.contains("instead of `pool_size`"), "{problem}");
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

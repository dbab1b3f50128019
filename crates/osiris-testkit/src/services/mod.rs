//! Throw-away servers: each belongs to the test that starts it and dies with its process.
//!
//! A server that is running already is used only where a variable such as `OSIRIS_TEST_MYSQL_URL` names it.

mod brand;
mod guardian;
mod launch;
mod local;
mod moto;
mod mysql_server;
mod pgbouncer;
mod postgres;
mod postgrest;
mod template;

pub use crate::certificates::Authority;
pub use brand::{Brand, MariadbBrand, MysqlBrand};
pub use launch::{MysqlOptions, MysqlOptions as MariadbOptions};
pub use local::{LocalServer, packages};
pub use moto::Moto;
pub use mysql_server::{Mariadb, Mysql, MysqlServer};
pub use pgbouncer::{PgBouncer, PoolMode};
pub use postgres::{Postgres, PostgresOptions};
pub use postgrest::{Postgrest, PostgrestOptions};

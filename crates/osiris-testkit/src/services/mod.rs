//! Throw-away servers: each belongs to the test that starts it and dies with its process.
//!
//! A server that is running already is used only where a variable such as `OSIRIS_TEST_MYSQL_URL` names it.

mod guardian;
mod launch;
mod mariadb;
mod pgbouncer;
mod postgres;
mod template;

pub use crate::certificates::Authority;
#[cfg(feature = "supabase")]
pub(crate) use guardian::Guardian;
pub use launch::MariadbOptions;
pub use mariadb::Mariadb;
pub use pgbouncer::PgBouncer;
pub use postgres::{Postgres, PostgresOptions};
#[cfg(feature = "supabase")]
pub(crate) use template::services_dir;

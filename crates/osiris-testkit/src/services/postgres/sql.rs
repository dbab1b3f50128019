//! Statements of the tests' own, over connections that are not the driver's.

use osiris_core::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::Postgres;
use crate::skipped::leave_out;

impl Postgres {
    pub(crate) fn admin(&self) -> &PgConnectOptions {
        &self.admin
    }

    /// A connection that is not the driver's.
    ///
    /// # Errors
    /// What the server says.
    pub async fn connect(&self) -> Result<PgConnection> {
        self.admin.connect().await.map_err(failed)
    }

    /// The same as another role.
    ///
    /// # Errors
    /// What the server says.
    pub async fn connect_as(&self, user: &str, password: &str) -> Result<PgConnection> {
        self.admin.clone().username(user).password(password).connect().await.map_err(failed)
    }

    /// Its major version, such as 15.
    ///
    /// # Errors
    /// What the server says.
    pub async fn version(&self) -> Result<u32> {
        let number = self.value("SHOW server_version_num").await?.and_then(|number| number.parse::<u32>().ok());
        number.map(|number| number / 10_000).ok_or_else(|| Error::unknown("the server does not say its version"))
    }

    /// Runs statements, separated by semicolons.
    ///
    /// # Errors
    /// What the server says.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    }

    /// Adds an extension to the database. `false` where the server does not have it: the test counts as one that was not run.
    ///
    /// # Errors
    /// What the server says, if it has the extension.
    pub async fn create_extension(&self, name: &str) -> Result<bool> {
        let available = format!("SELECT count(*) FROM pg_available_extensions WHERE name = '{name}'");
        if self.value(&available).await?.as_deref() == Some("0") {
            leave_out(&format!("the extension `{name}` of PostgreSQL"));
            return Ok(false);
        }
        self.execute(&format!("CREATE EXTENSION IF NOT EXISTS {name}")).await.map(|()| true)
    }

    /// The rows of a query, as the server writes them.
    ///
    /// # Errors
    /// What the server says.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        rows(&self.admin, sql).await
    }

    /// The first field of the first row, or nothing.
    ///
    /// # Errors
    /// What the server says.
    pub async fn value(&self, sql: &str) -> Result<Option<String>> {
        value(&self.admin, sql).await
    }

    /// Makes the roles that a Supabase project has, with their rights in the schema `public` for what is there and what will be;
    /// the password of `authenticator` is `authpw`.
    ///
    /// # Errors
    /// What the server says.
    pub async fn supabase_roles(&self) -> Result<()> {
        self.execute(ROLES).await
    }
}

/// <https://supabase.com/docs/guides/database/postgres/roles>
const ROLES: &str = "
DO $$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'authenticator') THEN
    CREATE ROLE anon NOLOGIN NOINHERIT;
    CREATE ROLE authenticated NOLOGIN NOINHERIT;
    CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
    CREATE ROLE authenticator NOINHERIT LOGIN PASSWORD 'authpw';
    GRANT anon, authenticated, service_role TO authenticator;
  END IF;
END $$;
DO $$ BEGIN
  -- Once: what a test has taken away since is not given again.
  IF NOT EXISTS (SELECT 1 FROM pg_default_acl) THEN
    GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO anon, authenticated, service_role;
    GRANT ALL ON ALL FUNCTIONS IN SCHEMA public TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
  END IF;
END $$";

async fn rows(admin: &PgConnectOptions, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let mut connection = admin.connect().await.map_err(failed)?;
    let found = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    let row = |row: &sqlx::postgres::PgRow| {
        (0..row.len()).map(|index| row.try_get_unchecked(index).map_err(failed)).collect::<Result<Vec<_>>>()
    };
    found.iter().map(row).collect()
}

pub(super) async fn value(admin: &PgConnectOptions, sql: &str) -> Result<Option<String>> {
    Ok(rows(admin, sql).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}

/// Removes the database of a test from a server that stays.
pub(super) fn drop_database(admin: PgConnectOptions, database: String) {
    // A thread of its own: this may be called inside a runtime.
    let dropping = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| {
            runtime.block_on(async {
                let mut connection = admin.database("postgres").connect().await?;
                let sql = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await
            })
        })
    });
    let _ = dropping.join();
}

pub(in crate::services) fn failed(error: sqlx::Error) -> Error {
    Error::unknown(format!("the test's server: {error}")).with_source(error)
}

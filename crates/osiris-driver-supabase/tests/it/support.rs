//! What several tests need.

use std::time::Duration;

use osiris_core::{Catalog, Health, Result};
use osiris_stand_ins::supabase::{Gateway, GatewayOptions, Postgrest, PostgrestOptions};
use osiris_testkit::database;
use osiris_testkit::services::Postgres;
use serde_json::Value;

use crate::subject::Direct;

/// What the doctor says.
pub(crate) async fn check(connection: &Value) -> Health {
    database::check::<Direct>(connection).await
}

pub(crate) async fn check_within(connection: &Value, limit: Duration) -> Health {
    database::doctor::check_within::<Direct>(connection, limit).await
}

/// What discovery finds.
pub(crate) async fn discover(connection: &Value) -> Result<Catalog> {
    database::discover::<Direct>(connection).await
}

/// A project: its database with what `sql` makes, its API and its gateway.
pub(crate) struct Project {
    // In the order in which they end.
    pub(crate) gateway: Gateway,
    pub(crate) rest: Postgrest,
    pub(crate) database: Postgres,
}

/// A project; nothing where tests that need it are left out.
pub(crate) async fn project(sql: &str) -> Option<Project> {
    project_with(sql, PostgrestOptions::new(), GatewayOptions::new()).await
}

pub(crate) async fn project_with(sql: &str, rest: PostgrestOptions, gateway: GatewayOptions) -> Option<Project> {
    let database = Postgres::start().await.unwrap()?;
    database.supabase_roles().await.unwrap();
    database.execute(sql).await.unwrap();
    let rest = Postgrest::start_with(&database, rest).await.unwrap()?;
    let gateway = Gateway::start_with(&rest, gateway).unwrap();
    Some(Project { gateway, rest, database })
}

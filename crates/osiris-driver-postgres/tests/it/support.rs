//! What several tests need.

use osiris_core::{Catalog, Health, Result};
use osiris_testkit::database;
use osiris_testkit::services::Postgres;
use serde_json::Value;

use crate::subject::PostgresDriver;

/// What the doctor says.
pub(crate) async fn check(connection: &Value) -> Health {
    database::check::<PostgresDriver>(connection).await
}

/// What discovery finds.
pub(crate) async fn discover(connection: &Value) -> Result<Catalog> {
    database::discover::<PostgresDriver>(connection).await
}

/// The same statements for a server that has no multiranges, which are new in version 14: with text in their place.
pub(crate) async fn without_multiranges(server: &Postgres, sql: &str) -> String {
    match server.version().await.unwrap() {
        ..14 => sql.replace("nummultirange", "text").replace("int4multirange", "text"),
        _ => sql.to_owned(),
    }
}

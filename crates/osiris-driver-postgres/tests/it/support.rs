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

/// The same statements for a server that has no multiranges, which are new in version 14, or no scale outside of the precision,
/// which is new in version 15: with types in their place that keep the same values.
pub(crate) async fn for_its_version(server: &Postgres, sql: &str) -> String {
    let version = server.version().await.unwrap();
    let sql = match version {
        ..14 => sql.replace("nummultirange", "text").replace("int4multirange", "text"),
        _ => sql.to_owned(),
    };
    match version {
        ..15 => sql.replace("numeric(3,-2)", "numeric(5,0)").replace("numeric(2,4)", "numeric(4,4)"),
        _ => sql,
    }
}

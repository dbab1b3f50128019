//! What several tests need.

use osiris_core::{Catalog, Health, Result};
use osiris_testkit::database;
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

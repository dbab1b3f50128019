//! What several tests need.

use std::time::Duration;

use osiris_core::{Catalog, Health};
use osiris_testkit::Bench;
use serde_json::Value;

/// As the command line has it.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);

/// What the doctor says.
pub(crate) async fn check(connection: &Value) -> Health {
    check_within(connection, LIMIT).await
}

pub(crate) async fn check_within(connection: &Value, limit: Duration) -> Health {
    let bench = Bench::new(osiris_driver_postgres::register).unwrap();
    let connection = bench.connection("postgres.extractor", connection).unwrap();
    bench.driver("postgres.extractor").unwrap().family().check(&connection, limit).await
}

/// What discovery finds.
pub(crate) async fn discover(connection: &Value) -> osiris_core::Result<Catalog> {
    let bench = Bench::new(osiris_driver_postgres::register).unwrap();
    let connection = bench.connection("postgres.extractor", connection).unwrap();
    bench.driver("postgres.extractor").unwrap().family().discover(&connection, None).await
}

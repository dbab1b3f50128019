//! The driver and its server for the tests that drivers of databases share.

use osiris_core::{Registry, Result};
use osiris_testkit::database::{self, DatabaseDriver};
use osiris_testkit::services::Postgres;

pub(crate) struct PostgresDriver;

impl DatabaseDriver for PostgresDriver {
    type Server = Postgres;

    const EXTRACTOR: &'static str = "postgres.extractor";
    const WRITER: &'static str = "postgres.writer";

    fn register(registry: &mut Registry) -> Result<()> {
        osiris_driver_postgres::register(registry)
    }
}

/// A server, a bench before it, and the extractor between them.
pub(crate) type Reading = database::Reading<PostgresDriver>;

/// A server, a bench before it, and the writer between them.
pub(crate) type Writing = database::Writing<PostgresDriver>;

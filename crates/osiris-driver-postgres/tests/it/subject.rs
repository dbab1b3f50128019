//! The driver and its server for the tests that drivers of databases share.

use std::sync::Arc;

use osiris_core::{Registry, Result};
use osiris_testkit::InvalidConfig;
use osiris_testkit::database::conformance::{ConformingDriver, no_client};
use osiris_testkit::database::postgres::{self, PostgresFamily};
use osiris_testkit::database::{self, DatabaseDriver};
use osiris_testkit::services::Postgres;
use serde_json::{Value, json};

pub(crate) struct PostgresDriver;

impl DatabaseDriver for PostgresDriver {
    type Server = Postgres;

    const EXTRACTOR: &'static str = "postgres.extractor";
    const WRITER: &'static str = "postgres.writer";

    fn register(registry: &mut Registry) -> Result<()> {
        osiris_driver_postgres::register(registry)
    }
}

impl ConformingDriver for PostgresDriver {
    const CREATE: &'static str = "create_if_missing";

    fn register_failing(registry: &mut Registry) -> Result<()> {
        let client =
            Arc::new(|_| -> futures::future::BoxFuture<'static, Result<osiris_driver_postgres::client::Client>> {
                Box::pin(async { Err(no_client()) })
            });
        osiris_driver_postgres::register_with_client(registry, client)
    }

    fn invalid_reads() -> Vec<InvalidConfig> {
        let config =
            json!({"table": "t", "columns": ["a", "a"], "partition_by": "a", "cursor": {"column": "b"}, "limit": 3});
        let fragments = json!({"table": "t", "where": "a = 1; DROP TABLE t", "order_by": "a; COMMIT"});
        vec![
            InvalidConfig::new(config, ["columns", "partition_by", "limit"]),
            InvalidConfig::new(fragments, ["where", "order_by"]),
        ]
    }

    fn modifying_reads() -> Vec<Value> {
        postgres::modifying_reads()
    }

    fn invalid_write() -> InvalidConfig {
        postgres::invalid_write()
    }
}

impl PostgresFamily for PostgresDriver {
    const PREFIX: &'static str = "";
}

/// A server, a bench before it, and the extractor between them.
pub(crate) type Reading = database::Reading<PostgresDriver>;

/// A server, a bench before it, and the writer between them.
pub(crate) type Writing = database::Writing<PostgresDriver>;

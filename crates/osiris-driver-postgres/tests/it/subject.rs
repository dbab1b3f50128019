//! The driver and its server for the tests that drivers of databases share.

use std::sync::Arc;

use osiris_core::{Registry, Result};
use osiris_testkit::InvalidConfig;
use osiris_testkit::database::conformance::{ConformingDriver, no_client};
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
        vec![
            json!({"query": "DELETE FROM source"}),
            json!({"query": "SELECT 1; DROP TABLE source"}),
            json!({"query": "SELECT * INTO copy FROM source"}),
            json!({"query": "WITH x AS (DELETE FROM source RETURNING id) SELECT * FROM x"}),
            json!({"query": "WITH x AS (SELECT 1) UPDATE source SET id = 1"}),
            json!({"query": "SELECT * FROM source FOR UPDATE"}),
            json!({"query": "SELECT pg_advisory_lock(1)"}),
            json!({"query": "SELECT $$a$$; TRUNCATE source; --$$"}),
        ]
    }

    fn invalid_write() -> InvalidConfig {
        let config = json!({"table": "t", "mode": "overwrite", "on_conflict": "ignore", "dedupe": "last", "columns": ["a", "A"]});
        InvalidConfig::new(config, ["on_conflict", "dedupe", "order_by", "columns"])
    }
}

/// A server, a bench before it, and the extractor between them.
pub(crate) type Reading = database::Reading<PostgresDriver>;

/// A server, a bench before it, and the writer between them.
pub(crate) type Writing = database::Writing<PostgresDriver>;

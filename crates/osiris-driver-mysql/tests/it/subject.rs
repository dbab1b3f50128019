//! The driver and its server, for the tests that drivers of databases share.

use std::sync::Arc;

use osiris_core::{Registry, Result};
use osiris_testkit::InvalidConfig;
use osiris_testkit::database::conformance::{ConformingDriver, no_client};
use osiris_testkit::database::{self, DatabaseDriver};
use serde_json::{Value, json};

use super::Server;

pub(crate) struct Mysql;

impl DatabaseDriver for Mysql {
    type Server = Server;

    const EXTRACTOR: &'static str = "mysql.extractor";
    const WRITER: &'static str = "mysql.writer";

    fn register(registry: &mut Registry) -> Result<()> {
        osiris_driver_mysql::register(registry)
    }
}

impl ConformingDriver for Mysql {
    const CREATE: &'static str = "create_table";

    fn register_failing(registry: &mut Registry) -> Result<()> {
        let client = Arc::new(|_| -> futures::future::BoxFuture<'static, Result<osiris_driver_mysql::Client>> {
            Box::pin(async { Err(no_client()) })
        });
        osiris_driver_mysql::register_with_client(registry, client)
    }

    fn read_source() -> Value {
        json!({"table": "source", "tinyint1": "bool"})
    }

    fn invalid_reads() -> Vec<InvalidConfig> {
        let config =
            json!({"table": "t", "columns": ["a", "A"], "partition_by": "a", "cursor": {"column": "b"}, "limit": 3});
        vec![InvalidConfig::new(config, ["columns", "partition_by", "limit"])]
    }

    fn modifying_reads() -> Vec<Value> {
        vec![
            json!({"query": "DELETE FROM source"}),
            json!({"query": "SELECT 1; DROP TABLE source"}),
            json!({"query": "SELECT 1 /*! INTO */ OUTFILE '/tmp/x'"}),
            json!({"query": "WITH x AS (SELECT 1) UPDATE source SET id = 1"}),
            json!({"query": "SELECT * FROM source FOR UPDATE"}),
            json!({"query": "SELECT GET_LOCK('a', 1)"}),
            json!({"table": "source", "where": "1) INTO OUTFILE '/tmp/x' -- "}),
            json!({"table": "source", "order_by": "1 LIMIT 1 INTO @x"}),
        ]
    }

    fn invalid_write() -> InvalidConfig {
        let config =
            json!({"table": "t", "mode": "overwrite", "commit_table": "t", "dedupe": "last", "columns": ["a", "A"]});
        InvalidConfig::new(config, ["commit_table", "dedupe", "order_by", "columns"])
    }
}

/// A server, a bench before it, and the extractor between them.
pub(crate) type Reading = database::Reading<Mysql>;

/// A server, a bench before it, and the writer between them.
pub(crate) type Writing = database::Writing<Mysql>;

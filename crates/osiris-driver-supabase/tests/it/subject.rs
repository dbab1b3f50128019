//! The driver over its direct channel, and its server.

use std::sync::Arc;

use osiris_core::{Registry, Result};
use osiris_testkit::InvalidConfig;
use osiris_testkit::database::conformance::{ConformingDriver, no_client};
use osiris_testkit::database::postgres::{self, PostgresFamily};
use osiris_testkit::database::{self, DatabaseDriver};
use osiris_testkit::services::Postgres;
use serde_json::{Value, json};

pub(crate) struct Direct;

impl DatabaseDriver for Direct {
    type Server = Postgres;

    const EXTRACTOR: &'static str = "supabase.extractor";
    const WRITER: &'static str = "supabase.writer";

    fn register(registry: &mut Registry) -> Result<()> {
        osiris_driver_supabase::register(registry)
    }

    fn connection(server: &Postgres, fields: Value) -> Value {
        server.supabase_connection_with(fields)
    }
}

impl ConformingDriver for Direct {
    const CREATE: &'static str = "create_if_missing";
    const PORT_AND_PASSWORD: [&'static str; 2] = ["pg_port", "pg_password"];
    const NOT_FOR_EXTRACTOR: &'static [(&'static str, &'static str)] = &[
        ("DRV-012", "one result is streamed, nothing is paged; the REST channel's suite pages"),
        ("DRV-013", "one result is streamed, nothing is paged; the REST channel's suite pages"),
        ("DRV-015", "no HTTP; the REST channel's suite has it"),
        ("DRV-016", "no HTTP; the REST channel's suite has it"),
    ];
    const NOT_FOR_WRITER: &'static [(&'static str, &'static str)] = &[
        ("DRV-015", "no HTTP; the REST channel's suite has it"),
        ("DRV-016", "no HTTP; the REST channel's suite has it"),
    ];

    fn register_failing(registry: &mut Registry) -> Result<()> {
        let client = Arc::new(|_| -> futures::future::BoxFuture<'static, Result<osiris_driver_supabase::Client>> {
            Box::pin(async { Err(no_client()) })
        });
        osiris_driver_supabase::register_with_client(registry, client)
    }

    fn other_condition() -> Value {
        json!({"filter": {"id": "gt.0"}})
    }

    fn invalid_reads() -> Vec<InvalidConfig> {
        let config = json!({"table": "t", "select": "a,a", "partition_by": "a", "cursor": {"column": "b"}, "limit": 3});
        let notation = json!({"table": "t", "filter": {"a": {"about": 5}}, "order": "a.up"});
        vec![
            InvalidConfig::new(config, ["select", "partition_by", "limit"]),
            InvalidConfig::new(notation, ["filter", "order"]),
        ]
    }

    fn modifying_reads() -> Vec<Value> {
        postgres::modifying_reads()
    }

    fn invalid_write() -> InvalidConfig {
        postgres::invalid_write()
    }
}

impl PostgresFamily for Direct {
    const PREFIX: &'static str = "pg_";
}

/// A server, a bench before it, and the extractor between them.
pub(crate) type Reading = database::Reading<Direct>;

/// A server, a bench before it, and the writer between them.
pub(crate) type Writing = database::Writing<Direct>;

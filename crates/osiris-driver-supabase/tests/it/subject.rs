//! The driver over its direct channel, and its server.

use osiris_core::{Registry, Result};
use osiris_testkit::database::{self, DatabaseDriver};
use osiris_testkit::services::Postgres;
use serde_json::Value;

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

/// A server, a bench before it, and the extractor between them.
pub(crate) type Reading = database::Reading<Direct>;

/// A server, a bench before it, and the writer between them.
pub(crate) type Writing = database::Writing<Direct>;

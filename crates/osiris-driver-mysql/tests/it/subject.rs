//! The driver and its server, for the tests that drivers of databases share.

use osiris_core::{Registry, Result};
use osiris_testkit::database::{self, DatabaseDriver};

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

/// A server, a bench before it, and the extractor between them.
pub(crate) type Reading = database::Reading<Mysql>;

/// A server, a bench before it, and the writer between them.
pub(crate) type Writing = database::Writing<Mysql>;

//! The writer against the driver rules.

use osiris_testkit::database::conformance::TableTarget;

use crate::subject::PostgresDriver;

osiris_testkit::conformance_suite!(write, writer, TableTarget::<PostgresDriver>::default());

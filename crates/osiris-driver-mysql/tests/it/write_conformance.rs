//! The writer against the driver rules.

use osiris_testkit::database::conformance::TableTarget;

use super::subject::Mysql;

osiris_testkit::conformance_suite!(write, writer, TableTarget::<Mysql>::default());

//! The extractor against the driver rules.

use osiris_testkit::database::conformance::TableSource;

use crate::subject::PostgresDriver;

osiris_testkit::conformance_suite!(extract, extractor, TableSource::<PostgresDriver>::default());

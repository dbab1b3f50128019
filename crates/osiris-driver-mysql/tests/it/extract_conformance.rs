//! The extractor against the driver rules.

use osiris_testkit::database::conformance::TableSource;

use super::subject::Mysql;

osiris_testkit::conformance_suite!(extract, extractor, TableSource::<Mysql>::default());

//! The extractor against the driver rules, over the direct channel.

use osiris_testkit::database::conformance::TableSource;

use crate::subject::Direct;

osiris_testkit::conformance_suite!(extract, extractor, TableSource::<Direct>::default());

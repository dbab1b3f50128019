//! The writer against the driver rules, over the direct channel.

use osiris_testkit::database::conformance::TableTarget;

use crate::subject::Direct;

osiris_testkit::conformance_suite!(write, writer, TableTarget::<Direct>::default());

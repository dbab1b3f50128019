//! The suites against a small driver of their own: kept rules pass, and each rule that the driver breaks is caught.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod bench;
mod careless;
mod flaws;
mod lines;
mod subjects;

use subjects::{Copier, Extractor, Writer};

osiris_testkit::conformance_suite!(extract, extractor, Extractor::good());
osiris_testkit::conformance_suite!(transform, copier, Copier::good());
osiris_testkit::conformance_suite!(write, writer, Writer::good());

//! Servers that stand in for a vendor's where no real one is available, for tests of drivers, whole pipelines and
//! benchmarks. Each is as close to the real one as the driver needs, and no closer: its behaviour is described in its
//! module and checked by tests of its driver.
//!
//! Real servers that a test starts are in `osiris_testkit::services`; this package is not published.

#[cfg(feature = "graphql")]
pub mod graphql;
#[cfg(feature = "graphql-engines")]
pub mod graphql_engines;
#[cfg(feature = "posthog")]
pub mod posthog;
#[cfg(feature = "supabase")]
pub mod supabase;

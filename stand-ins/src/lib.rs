//! Servers that stand in for a vendor's where no real one can be had, for tests of drivers, whole pipelines and benchmarks. Each is as
//! close to the real one as the driver needs, and no closer: what it holds to is said on its page and shown by tests of its driver.
//!
//! Real servers that a test starts are in `osiris_testkit::services`; this package is not published.

#[cfg(feature = "graphql")]
pub mod graphql;
#[cfg(feature = "posthog")]
pub mod posthog;
#[cfg(feature = "supabase")]
pub mod supabase;

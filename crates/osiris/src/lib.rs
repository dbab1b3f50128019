#![doc = include_str!("../README.md")]

pub use osiris_core as core;
pub use osiris_http as http;
pub use osiris_pipeline as pipeline;

#[cfg(feature = "duckdb")]
pub use osiris_driver_duckdb as duckdb;
#[cfg(feature = "filesystem")]
pub use osiris_driver_filesystem as filesystem;
#[cfg(feature = "graphql")]
pub use osiris_driver_graphql as graphql;
#[cfg(feature = "mysql")]
pub use osiris_driver_mysql as mysql;
#[cfg(feature = "postgres")]
pub use osiris_driver_postgres as postgres;
#[cfg(feature = "posthog")]
pub use osiris_driver_posthog as posthog;
#[cfg(feature = "sqlite")]
pub use osiris_driver_sqlite as sqlite;
#[cfg(feature = "supabase")]
pub use osiris_driver_supabase as supabase;
#[cfg(feature = "testkit")]
pub use osiris_testkit as testkit;

pub use osiris_core::{
    CancellationToken, Code, Error, ErrorKind, Progress, Registry, Reject, RejectFile, RejectReason, Result, StepCounts,
};
pub use osiris_pipeline::run::run;
pub use osiris_pipeline::{
    ConnectionsFile, Diagnostic, Diagnostics, Environment, Ledger, LedgerStep, Observer, Outcome, PastRun, Plan,
    PlanOptions, PlannedStep, Project, RunOptions, RunReport, Runs, Settings, Silent, SourceFile, StepReport,
    StepStatus, StoreChoice, Wait,
};

/// Each family with the feature that brings it, for the error at a component that is not compiled in.
const FAMILIES: &[(&str, &str)] = &[
    ("duckdb", "duckdb"),
    ("filesystem", "filesystem"),
    ("graphql", "graphql"),
    ("mysql", "mysql"),
    ("postgres", "postgres"),
    ("posthog", "posthog"),
    ("sqlite", "sqlite"),
    ("supabase", "supabase"),
];

/// A registry with the components of every driver whose feature is on.
///
/// # Errors
/// Never, unless two drivers have a component of the same name.
#[allow(unused_mut, reason = "without a driver nothing is added")]
pub fn registry() -> Result<Registry> {
    let mut registry =
        FAMILIES.iter().fold(Registry::new(), |registry, (family, feature)| registry.with_feature(family, feature));
    #[cfg(feature = "duckdb")]
    osiris_driver_duckdb::register(&mut registry)?;
    #[cfg(feature = "filesystem")]
    osiris_driver_filesystem::register(&mut registry)?;
    #[cfg(feature = "graphql")]
    osiris_driver_graphql::register(&mut registry)?;
    #[cfg(feature = "mysql")]
    osiris_driver_mysql::register(&mut registry)?;
    #[cfg(feature = "postgres")]
    osiris_driver_postgres::register(&mut registry)?;
    #[cfg(feature = "posthog")]
    osiris_driver_posthog::register(&mut registry)?;
    #[cfg(feature = "sqlite")]
    osiris_driver_sqlite::register(&mut registry)?;
    #[cfg(feature = "supabase")]
    osiris_driver_supabase::register(&mut registry)?;
    Ok(registry)
}

//! The fault matrix: every destination and mode under everything that can happen to a run, then what an operator would do, then
//! the count of rows.
//!
//! `cargo xtask test-drivers --faults` runs all of it; the suite runs a part, with a seed of its own.

mod case;
mod choice;
mod database;
mod disk;
mod disturb;
mod duckdb;
mod fault;
mod files;
mod interpose;
mod matrix;
mod recovery;
mod runner;
mod server;
mod sqlite;
mod table;
mod tally;
mod target;

use std::time::Duration;

use choice::Extent;
use matrix::{Plan, run};

/// Files under many faults; servers under a few, since they take longer.
#[tokio::test(flavor = "multi_thread")]
async fn fault_matrix_in_part_loses_and_doubles_nothing() {
    let extents = [
        ("CSV", 4),
        ("CSV parts", 1),
        ("Parquet", 2),
        ("Parquet parts", 1),
        ("Parquet partitions", 1),
        ("SQLite", 1),
        ("MariaDB", 2),
        ("PostgreSQL", 2),
    ];
    let plan = Plan {
        seed: 20_261_128,
        targets: extents.map(|(name, few)| (name.to_owned(), Extent::Few(few))).into(),
        limit: Duration::from_secs(45),
        only: Vec::new(),
        needs_mount: false,
    };
    let tally = run(&plan).await;
    println!("{tally}");
    for (name, _) in &plan.targets {
        assert!(tally.cases(name) > 0 || tally.is_left_out(name), "no fault met {name}\n{tally}");
    }
    assert!(tally.is_clean(), "\n{tally}");
}

/// All of it; a number from the environment for each choice.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes up to an hour: cargo xtask test-drivers --faults"]
async fn fault_matrix_in_full_loses_and_doubles_nothing() {
    let given = |name: &str| std::env::var_os(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
    let only = std::env::var_os("OSIRIS_TEST_FAULTS_ONLY").and_then(|value| value.into_string().ok());
    let repeats = given("OSIRIS_TEST_FAULTS_REPEATS").and_then(|number| usize::try_from(number).ok()).unwrap_or(1);
    let plan = Plan {
        seed: given("OSIRIS_TEST_FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000_000)),
        targets: target::TARGETS.map(|(name, _)| (name.to_owned(), Extent::All(repeats))).into(),
        limit: Duration::from_secs(given("OSIRIS_TEST_FAULTS_MINUTES").unwrap_or(60) * 60),
        only: names(&only.unwrap_or_default()),
        needs_mount: true,
    };
    let tally = run(&plan).await;
    println!("{tally}");
    assert!(tally.is_clean(), "\n{tally}");
}

/// The names in a list with commas.
fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

//! The fault matrix: every destination and mode under everything that can happen to a run, then what an operator would do, then
//! the count of rows.
//!
//! `cargo xtask test-drivers --faults` runs all of it; the suite runs a part, with a seed of its own.

mod case;
mod fault;
mod recovery;
mod sqlite;
mod table;
mod tally;
mod target;

use std::time::{Duration, Instant};

use fastrand::Rng;

use case::Case;
use tally::{Row, Tally};
use target::{NAMES, Target};

/// How the matrix is cut.
struct Plan {
    seed: u64,
    /// How many faults of each kind meet each destination and mode; 0: a few of any kind.
    repeats: usize,
    /// No new fault is begun after this long.
    limit: Duration,
    /// Only these targets, or one mode of a target: `MySQL`, `MySQL extract`. All when empty.
    only: Vec<String>,
}

/// How rows get from step to step: as by default, directly where that is possible; with the store in memory; through tables.
const WAYS: [&[&str]; 3] = [&[], &["--store", "memory"], &["--jobs", "1"]];

/// Runs it and returns what was counted.
#[expect(clippy::print_stdout, reason = "an hour is long without a word")]
async fn run(plan: &Plan) -> Tally {
    let begun = Instant::now();
    let mut rng = Rng::with_seed(plan.seed);
    let mut tally = Tally::default();
    println!("seed {}", plan.seed);
    let wanted = |names: &[&str]| plan.only.is_empty() || plan.only.iter().any(|part| names.contains(&part.as_str()));
    for target_name in NAMES {
        let is_part = |part: &String| part.split(' ').next() == Some(target_name);
        if !plan.only.is_empty() && !plan.only.iter().any(is_part) {
            continue;
        }
        let Some(mut target) = Target::named(target_name).await else { continue };
        for &mode in target.modes() {
            let name = format!("{target_name} {}", mode.name());
            if !wanted(&[target_name, &name]) {
                continue;
            }
            let case = Case::new(&target, mode).await;
            for (fault, recovery) in case.faults(&target, plan.repeats, &mut rng) {
                if begun.elapsed() > plan.limit {
                    println!("the time is over: what is left is not counted");
                    return tally;
                }
                let row = case.suffer(&mut target, &fault, WAYS[rng.usize(..WAYS.len())], recovery).await;
                if !row.is_clean() {
                    println!("{name}: {fault}\n{}", row.story);
                }
                tally.add(&name, fault.kind(), row);
            }
        }
    }
    tally
}

/// Files under each kind of fault; servers take longer, and are part of the full matrix only.
#[tokio::test(flavor = "multi_thread")]
async fn fault_matrix_in_part_loses_and_doubles_nothing() {
    let only = ["CSV", "Parquet"].map(str::to_owned).to_vec();
    let plan = Plan { seed: 20_261_128, repeats: 1, limit: Duration::from_secs(60), only };
    let tally = run(&plan).await;
    println!("{tally}");
    assert!(tally.cases() > 10, "too few faults to say anything");
    assert!(tally.is_clean(), "\n{tally}");
}

/// All of it; a number from the environment for each choice.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes up to an hour: cargo xtask test-drivers --faults"]
async fn fault_matrix_in_full_loses_and_doubles_nothing() {
    let given = |name: &str| std::env::var_os(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
    let only = std::env::var_os("OSIRIS_TEST_FAULTS_ONLY").and_then(|value| value.into_string().ok());
    let plan = Plan {
        seed: given("OSIRIS_TEST_FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000_000)),
        repeats: given("OSIRIS_TEST_FAULTS_REPEATS").and_then(|number| usize::try_from(number).ok()).unwrap_or(6),
        limit: Duration::from_secs(given("OSIRIS_TEST_FAULTS_MINUTES").unwrap_or(60) * 60),
        only: only.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default(),
    };
    let tally = run(&plan).await;
    println!("{tally}");
    assert!(tally.is_clean(), "\n{tally}");
}

/// What a fault adds to a column.
type Count = fn(&Row) -> u64;

/// What is counted after a fault; here so that the table says what the words mean.
const COLUMNS: [(&str, Count); 8] = [
    ("cases", |_| 1),
    ("survived", |row| u64::from(row.survived)),
    ("lost", |row| row.lost),
    ("doubled", |row| row.doubled),
    ("half-written", |row| u64::from(row.half_written)),
    ("left behind", |row| u64::from(row.left_behind)),
    ("hung", |row| u64::from(row.hung)),
    ("untrue", |row| u64::from(row.untrue)),
];

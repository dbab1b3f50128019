//! `cargo xtask bench`: whole commands of the release build, timed against their limits, as the table of docs/benchmarks.md.
//!
//! Nothing here is a test: times depend on the machine. The reference of a comparison runs in turn with what is compared, each
//! several times, and medians are shown.

mod cases;
mod data;
mod measure;
mod mysql;
mod posthog;
mod served;
mod supabase;

use std::path::PathBuf;

use crate::args::Args;
use crate::duckdb::Build;
use crate::{Outcome, shell, workspace};

/// One row of the table.
struct Row {
    work: String,
    osiris: String,
    limit: String,
    ratio: String,
    target: String,
}

/// What the benchmarks need to know about their surroundings.
struct Bench {
    /// Where data and results go.
    directory: PathBuf,
    /// The program under test.
    osiris: PathBuf,
    /// The package `osiris-bench`: makes data, and runs SQL in the DuckDB that Osiris links.
    reference: PathBuf,
    /// TPC-H scale factor of the data; 1 is 6 million rows.
    scale: String,
    /// How often each command runs.
    rounds: usize,
}

type Case = (&'static str, fn(&Bench) -> Outcome<Vec<Row>>);

const CASES: &[Case] = &[
    ("files", cases::files),
    ("memory", cases::memory),
    ("csv-write", cases::csv_write),
    ("startup", cases::startup),
    ("validate", cases::validate),
    ("mysql", mysql::mysql),
    ("posthog", posthog::posthog),
    ("supabase", supabase::supabase),
];

pub(crate) fn main(mut args: Args) -> Outcome {
    let list = args.flag("--list");
    let scale = args.option("--scale")?.unwrap_or_else(|| "1".to_owned());
    let rounds = args.option("--rounds")?.unwrap_or_else(|| "5".to_owned());
    let rounds = rounds.parse().ok().filter(|rounds| *rounds > 0).ok_or("--rounds needs a number from 1")?;
    let wanted: Vec<String> = std::iter::from_fn(|| args.word()).collect();
    args.finish()?;
    if list {
        CASES.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    if let Some(unknown) = wanted.iter().find(|name| !CASES.iter().any(|(known, _)| known == name)) {
        return Err(format!("there is no benchmark `{unknown}`; `cargo xtask bench --list` names them"));
    }
    let bench = build(scale, rounds)?;
    let mut rows = Vec::new();
    for (name, case) in CASES.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|other| other == name)) {
        eprintln!("==> {name}");
        rows.extend(case(&bench)?);
    }
    print!("{}", table(&rows));
    Ok(())
}

fn build(scale: String, rounds: usize) -> Outcome<Bench> {
    let mut build = shell::cargo(&["build", "--locked", "--release", "-p", "osiris-cli", "-p", "osiris-bench"]);
    if Build::of_checkout() == Build::Linked {
        build.args(["--no-default-features", "--features", "osiris-cli/all-drivers"]);
    }
    shell::run(&mut build)?;
    let target = workspace::target_dir();
    let directory = target.join("bench");
    std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let program = |name: &str| target.join("release").join(name);
    Ok(Bench { directory, osiris: program("osiris"), reference: program("osiris-bench"), scale, rounds })
}

fn table(rows: &[Row]) -> String {
    let mut text =
        "| work | Osiris | measured against | ratio | target |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for Row { work, osiris, limit, ratio, target } in rows {
        text.push_str(&format!("| {work} | {osiris} | {limit} | {ratio} | {target} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_benchmark_is_refused_before_anything_is_built() {
        assert!(main(Args::new(["warp".to_owned()])).unwrap_err().contains("`warp`"));
    }

    #[test]
    fn rows_become_a_markdown_table() {
        let row = |text: &str| text.to_owned();
        let rows =
            [Row { work: row("w"), osiris: row("1 s"), limit: row("2 s"), ratio: row("0.50"), target: row("1") }];
        assert!(table(&rows).ends_with("| w | 1 s | 2 s | 0.50 | 1 |\n"));
    }
}

//! `cargo xtask bench`: whole commands of the release build, timed against their limits, as the table of docs/benchmarks.md.
//!
//! Nothing here is a test: times depend on the machine. The reference of a comparison runs in turn with what is compared, each
//! several times, and medians are shown.

mod cases;
mod data;
mod databases;
mod measure;
mod posthog;
mod scaling;
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
    ("to-files", databases::to_files),
    ("across", databases::across),
    ("from-files", databases::from_files),
    ("startup", cases::startup),
    ("memory", cases::memory),
    ("csv-write", cases::csv_write),
    ("scaling", scaling::scaling),
    ("posthog", posthog::posthog),
    ("supabase", supabase::supabase),
];

pub(crate) fn main(mut args: Args) -> Outcome {
    let (list, write) = (args.flag("--list"), args.flag("--write"));
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
    if write { keep(&rows) } else { Ok(()) }
}

/// Where the table stands.
const PAGE: &str = "docs/benchmarks.md";
/// The line above the table, and the one below.
const MARKS: [&str; 2] = ["<!-- results -->", "<!-- end of results -->"];

/// Puts the rows into the page: in the place of those of the same work, or below the others.
fn keep(rows: &[Row]) -> Outcome {
    let page = workspace::read(PAGE)?;
    let kept = merged(&page, rows).ok_or(format!("{PAGE} has no line `{}`", MARKS[0]))?;
    workspace::write(PAGE, &kept)
}

fn merged(page: &str, rows: &[Row]) -> Option<String> {
    let (before, rest) = page.split_once(MARKS[0])?;
    let (old, after) = rest.split_once(MARKS[1])?;
    let work = |line: &str| line.split(" | ").next().map(str::to_owned);
    let new = table(rows);
    let mut lines: Vec<&str> = new.lines().take(2).collect();
    let mut added: Vec<&str> = new.lines().skip(2).collect();
    for line in old.lines().filter(|line| line.starts_with("| ")).skip(2) {
        match added.iter().position(|new| work(new) == work(line)) {
            Some(place) => lines.push(added.remove(place)),
            None => lines.push(line),
        }
    }
    lines.extend(added);
    Some(format!("{before}{}\n\n{}\n\n{}{after}", MARKS[0], lines.join("\n"), MARKS[1]))
}

fn build(scale: String, rounds: usize) -> Outcome<Bench> {
    let mut build = shell::cargo(&["build", "--locked", "--profile", "dist", "-p", "osiris-cli", "-p", "osiris-bench"]);
    if Build::of_checkout() == Build::Linked {
        build.args(["--no-default-features", "--features", "osiris-cli/all-drivers"]);
    }
    shell::run(&mut build)?;
    let target = workspace::target_dir();
    let directory = target.join("bench");
    std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let program = |name: &str| target.join("dist").join(name);
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
    fn a_row_takes_the_place_of_the_row_of_the_same_work() {
        let row = |work: &str, osiris: &str| {
            let dash = || "-".to_owned();
            Row { work: work.to_owned(), osiris: osiris.to_owned(), limit: dash(), ratio: dash(), target: dash() }
        };
        let page = format!("a\n{}\n{}\nb\n", MARKS[0], MARKS[1]);
        let first = merged(&page, &[row("x", "1 s"), row("y", "2 s")]).unwrap();
        let second = merged(&first, &[row("z", "4 s"), row("x", "3 s")]).unwrap();
        let works: Vec<&str> = second.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
        assert_eq!(works, ["| x | 3 s | - | - | - |", "| y | 2 s | - | - | - |", "| z | 4 s | - | - | - |"]);
        assert!(second.starts_with("a\n") && second.ends_with("\nb\n"), "{second}");
        assert_eq!(merged("no marks", &[]), None);
    }

    #[test]
    fn rows_become_a_markdown_table() {
        let row = |text: &str| text.to_owned();
        let rows =
            [Row { work: row("w"), osiris: row("1 s"), limit: row("2 s"), ratio: row("0.50"), target: row("1") }];
        assert!(table(&rows).ends_with("| w | 1 s | 2 s | 0.50 | 1 |\n"));
    }
}

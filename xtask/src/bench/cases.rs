//! The benchmarks, one function each.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::measure::{cost, median, megabytes, seconds};
use super::{Bench, Row, data};
use crate::Outcome;

/// Keeps about half of the rows and adds a column.
const SQL: &str =
    "SELECT *, l_extendedprice * (1 - l_discount) AS revenue FROM source WHERE l_shipdate >= DATE '1995-06-17'";

/// CSV -> SQL -> Parquet against the same three statements typed by hand.
pub(super) fn csv_sql_parquet(bench: &Bench) -> Outcome<Vec<Row>> {
    let csv = bench.lineitem(&bench.scale)?;
    let directory = bench.fresh("csv-sql-parquet")?;
    let by_hand = directory.join("by-hand.parquet");
    let statements = format!(
        "CREATE TABLE source AS SELECT * FROM read_csv('{}'); CREATE TABLE result AS {SQL}; \
         COPY result TO '{}' (FORMAT parquet, COMPRESSION zstd);",
        csv.display(),
        by_hand.display()
    );
    let pipeline = three_steps(&directory, &csv)?;
    let (mut ours, mut theirs, mut peaks) = (Vec::new(), Vec::new(), (0, 0));
    for round in 0..bench.rounds {
        let reference = cost(&mut bench.by_hand(&directory.join(format!("{round}.duckdb")), &statements))?;
        let osiris = cost(&mut bench.run(&pipeline, &[]))?;
        theirs.push(reference.wall);
        ours.push(osiris.wall);
        peaks = (peaks.0.max(osiris.peak.unwrap_or(0)), peaks.1.max(reference.peak.unwrap_or(0)));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(vec![Row {
        work: format!("CSV -> SQL -> Parquet, lineitem at scale {}", bench.scale),
        osiris: format!("{}, {}", seconds(ours), megabytes(peaks.0)),
        limit: format!("by hand in the same DuckDB: {}, {}", seconds(theirs), megabytes(peaks.1)),
        ratio: format!("{:.2}", ours.as_secs_f64() / theirs.as_secs_f64()),
        target: "1.15".to_owned(),
    }])
}

/// The peak of a run whose data is ten times its memory limit.
pub(super) fn memory(bench: &Bench) -> Outcome<Vec<Row>> {
    let csv = bench.lineitem("3.5")?;
    let size = std::fs::metadata(&csv).map_err(|error| error.to_string())?.len();
    let limit = size / 10;
    let directory = bench.fresh("memory")?;
    let pipeline = three_steps(&directory, &csv)?;
    let limit_flag = format!("{}MB", limit / 1_000_000);
    let run = cost(&mut bench.run(&pipeline, &["--memory-limit", &limit_flag]))?;
    let peak = run.peak.ok_or("this kernel does not tell the peak memory of a process")?;
    Ok(vec![Row {
        work: format!("three steps over {} with a memory limit of a tenth", megabytes(size)),
        osiris: format!("{}, {}", megabytes(peak), seconds(run.wall)),
        limit: format!("the limit: {limit_flag}"),
        ratio: format!("limit {:+} MB", i128::from(peak / 1_000_000) - i128::from(limit / 1_000_000)),
        target: "limit +150 MB".to_owned(),
    }])
}

/// How fast a CSV file is written by one thread: a run that reads Parquet and writes CSV, less one that only reads.
pub(super) fn csv_write(bench: &Bench) -> Outcome<Vec<Row>> {
    let csv = bench.lineitem(&bench.scale)?;
    let source = bench.parquet_of(&csv)?;
    let read = data::extract("source", "filesystem.parquet_extractor", &source);
    let write = data::write("write", "source", "filesystem.csv_writer", "path: out/result.csv, columns: source");
    let both = bench.fresh("csv-write/both")?;
    let only_read = bench.fresh("csv-write/read")?;
    let (both_file, read_file) = (data::pipeline(&both, &[read.clone(), write])?, data::pipeline(&only_read, &[read])?);
    let mut times = Vec::new();
    for _ in 0..bench.rounds {
        let without = cost(&mut bench.run(&read_file, &["--threads", "1"]))?.wall;
        times.push(cost(&mut bench.run(&both_file, &["--threads", "1"]))?.wall.saturating_sub(without));
    }
    let bytes = std::fs::metadata(both.join("out/result.csv")).map_err(|error| error.to_string())?.len();
    let time = median(times);
    let per_second = u128::from(bytes) * 1000 / time.as_millis().max(1);
    Ok(vec![Row {
        work: format!("writing {} of CSV, one thread", megabytes(bytes)),
        osiris: format!("{} MB/s", per_second / 1_000_000),
        limit: "-".to_owned(),
        ratio: "-".to_owned(),
        target: "300 MB/s".to_owned(),
    }])
}

/// The program that does nothing.
pub(super) fn startup(bench: &Bench) -> Outcome<Vec<Row>> {
    let time = repeat(bench, || {
        let mut command = Command::new(&bench.osiris);
        command.arg("--version");
        command
    })?;
    Ok(vec![small("`osiris --version`", time, "30 ms")])
}

/// A pipeline of 100 steps, checked.
pub(super) fn validate(bench: &Bench) -> Outcome<Vec<Row>> {
    let directory = bench.fresh("validate")?;
    let mut steps = vec![data::extract("step-0", "filesystem.csv_extractor", Path::new("data.csv"))];
    steps.extend((1..100).map(|number| {
        let before = format!("step-{}", number - 1);
        data::transform(&format!("step-{number}"), &before, &format!("SELECT * FROM \"{before}\" WHERE a > {number}"))
    }));
    let pipeline = data::pipeline(&directory, &steps)?;
    let time = repeat(bench, || {
        let mut command = Command::new(&bench.osiris);
        command.arg("validate").arg(&pipeline);
        command
    })?;
    Ok(vec![small("`osiris validate` of 100 steps", time, "100 ms")])
}

fn three_steps(directory: &Path, csv: &Path) -> Outcome<std::path::PathBuf> {
    data::pipeline(
        directory,
        &[
            data::extract("source", "filesystem.csv_extractor", csv),
            data::transform("result", "source", SQL),
            data::write("write", "result", "filesystem.parquet_writer", "path: out/result.parquet"),
        ],
    )
}

/// The median of many runs of a short command.
fn repeat(bench: &Bench, command: impl Fn() -> Command) -> Outcome<Duration> {
    let times: Outcome<Vec<Duration>> = (0..bench.rounds * 4).map(|_| Ok(cost(&mut command())?.wall)).collect();
    Ok(median(times?))
}

fn small(work: &str, time: Duration, target: &str) -> Row {
    Row {
        work: work.to_owned(),
        osiris: seconds(time),
        limit: "-".to_owned(),
        ratio: "-".to_owned(),
        target: target.to_owned(),
    }
}

//! The benchmarks, one function each.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::measure::{compared, cost, median, megabytes, seconds};
use super::{Bench, Row, data};
use crate::Outcome;

/// Keeps about half of the rows and adds a column.
const SQL: &str =
    "SELECT *, l_extendedprice * (1 - l_discount) AS revenue FROM source WHERE l_shipdate >= DATE '1995-06-17'";

/// One row for each flag and status.
pub(super) const GROUPED: &str = "SELECT l_returnflag, l_linestatus, sum(l_quantity) AS quantity, sum(l_extendedprice * (1 - l_discount)) AS revenue, \
                       avg(l_discount) AS discount, count(*) AS orders FROM source GROUP BY ALL ORDER BY ALL";

/// From file to file, with SQL and without, against the one statement that a user of DuckDB would type.
pub(super) fn files(bench: &Bench) -> Outcome<Vec<Row>> {
    let csv = bench.lineitem(&bench.scale)?;
    let parquet = bench.parquet_of(&csv)?;
    let works = [
        ("CSV -> GROUP BY -> Parquet", &csv, Some(GROUPED), "1.3"),
        ("CSV -> half of the rows -> Parquet", &csv, Some(SQL), "1.3"),
        ("CSV -> Parquet", &csv, None, "1.3"),
        ("Parquet -> GROUP BY -> Parquet", &parquet, Some(GROUPED), "1.2 and 50 ms"),
        ("Parquet -> Parquet", &parquet, None, "1.2 and 50 ms"),
    ];
    let rows = works.into_iter().enumerate().map(|(number, (work, source, sql, target))| {
        let directory = bench.fresh(&format!("files/{number}"))?;
        let is_csv = source == &csv;
        let (extractor, function) = if is_csv {
            ("filesystem.csv_extractor", "read_csv")
        } else {
            ("filesystem.parquet_extractor", "read_parquet")
        };
        let mut steps = vec![data::extract("source", extractor, source)];
        steps.extend(sql.map(|sql| data::transform("result", "source", sql)));
        let last = if sql.is_some() { "result" } else { "source" };
        steps.push(data::write("write", last, "filesystem.parquet_writer", "path: out/result.parquet"));
        let pipeline = data::pipeline(&directory, &steps)?;
        let select = sql
            .unwrap_or("FROM source")
            .replace("FROM source", &format!("FROM {function}('{}') AS source", source.display()));
        let by_hand = directory.join("by-hand.parquet");
        let statement = format!("COPY ({select}) TO '{}' (FORMAT parquet, COMPRESSION zstd)", by_hand.display());
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            theirs.push(cost(&mut bench.by_hand(Path::new(":memory:"), &statement))?);
            ours.push(cost(&mut bench.run(&pipeline, &[]))?);
        }
        Ok(compared(
            format!("{work}, lineitem at scale {}", bench.scale),
            &ours,
            "one statement in DuckDB",
            &theirs,
            target,
        ))
    });
    rows.collect()
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

/// What does next to nothing: the program itself, a check of 100 steps, a run of one step and of a thousand.
pub(super) fn startup(bench: &Bench) -> Outcome<Vec<Row>> {
    let version = repeat(bench, || {
        let mut command = Command::new(&bench.osiris);
        command.arg("--version");
        command
    })?;
    let step = |number: usize| {
        format!(
            "  - id: step-{number}\n    component: duckdb.processor\n    mode: transform\n    needs: []\n    config: {{query: SELECT {number} AS n}}\n"
        )
    };
    let trivial = data::pipeline(&bench.fresh("startup/one")?, &[step(0)])?;
    let thousand = data::pipeline(&bench.fresh("startup/thousand")?, &(0..1000).map(step).collect::<Vec<_>>())?;
    let trivial = repeat(bench, || bench.run(&trivial, &[]))?;
    let thousand = cost(&mut bench.run(&thousand, &[]))?.wall.saturating_sub(trivial);
    Ok(vec![
        small("`osiris --version`", version, "10 ms"),
        validate(bench)?,
        small("a run of one query without input", trivial, "60 ms"),
        small("each of a thousand such steps", thousand / 999, "1 ms"),
    ])
}

/// A pipeline of 100 steps, checked.
fn validate(bench: &Bench) -> Outcome<Row> {
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
    Ok(small("`osiris validate` of 100 steps", time, "50 ms"))
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

//! Whether time and memory grow as the data do: ten times the rows, ten times the columns, several connections.

use std::path::{Path, PathBuf};

use super::cases::GROUPED;
use super::databases::{Kind, Server};
use super::measure::{Cost, cost, median, shown};
use super::{Bench, Row, data};
use crate::Outcome;

const SCALES: [(&str, f64); 3] = [("0.1", 0.1), ("1", 1.0), ("5", 5.0)];
/// Values of each file with so many columns.
const VALUES: usize = 20_000_000;

/// Each row has the cost of a row, a value or all of it, as a ratio to that of the row that is named.
pub(super) fn scaling(bench: &Bench) -> Outcome<Vec<Row>> {
    let mut rows = rows_of_files(bench)?;
    rows.extend(columns(bench)?);
    for kind in [Kind::MySql, Kind::Postgres] {
        rows.extend(partitions(bench, kind)?);
    }
    Ok(rows)
}

fn rows_of_files(bench: &Bench) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for (work, sql) in [("CSV -> GROUP BY -> Parquet", Some(GROUPED)), ("CSV -> Parquet", None)] {
        let mut costs = Vec::new();
        for (scale, factor) in SCALES {
            let pipeline = to_parquet(bench, &format!("scaling/rows-{scale}"), &bench.lineitem(scale)?, sql)?;
            costs.push((format!("{work}, scale {scale}"), factor, repeated(bench, &pipeline)?));
        }
        rows.extend(compare(costs, 1, "a row", "1.1"));
    }
    Ok(rows)
}

fn columns(bench: &Bench) -> Outcome<Vec<Row>> {
    let mut costs = Vec::new();
    for columns in [10, 100, 1000] {
        let csv = bench.directory.join(format!("columns-{columns}.csv"));
        if !csv.exists() {
            let names: Vec<String> = (0..columns).map(|column| format!("i + {column} AS c{column}")).collect();
            let sql = format!(
                "COPY (SELECT {} FROM range({}) r(i)) TO '{}' (HEADER)",
                names.join(", "),
                VALUES / columns,
                csv.display()
            );
            crate::shell::run(&mut bench.by_hand(Path::new(":memory:"), &sql))?;
        }
        let pipeline = to_parquet(bench, &format!("scaling/columns-{columns}"), &csv, None)?;
        costs.push((
            format!("CSV -> Parquet, 20 million integers in {columns} columns"),
            1.0,
            repeated(bench, &pipeline)?,
        ));
    }
    Ok(compare(costs, 0, "all of it", "-"))
}

fn partitions(bench: &Bench, kind: Kind) -> Outcome<Vec<Row>> {
    let Some(mut server) = Server::start(bench, kind)? else { return Ok(Vec::new()) };
    server.fill("lineitem", &bench.lineitem(&bench.scale)?, "")?;
    server.let_divide()?;
    let mut costs = Vec::new();
    for count in [1, 2, 4] {
        let directory = server.project(bench, &format!("scaling/partitions-{count}"))?;
        let by = if count == 1 { String::new() } else { format!(", partition_by: l_orderkey, partitions: {count}") };
        let steps = [
            server.extract(&format!("table: lineitem{by}")),
            data::write("write", "source", "filesystem.parquet_writer", "path: out/result.parquet"),
        ];
        let pipeline = data::pipeline(&directory, &steps)?;
        let work = format!("{} -> Parquet over {count} connection(s), scale {}", kind.name(), bench.scale);
        costs.push((work, 1.0, repeated(bench, &pipeline)?));
    }
    Ok(compare(costs, 0, "all of it", "-"))
}

fn to_parquet(bench: &Bench, name: &str, source: &Path, sql: Option<&str>) -> Outcome<PathBuf> {
    let directory = bench.fresh(name)?;
    let mut steps = vec![data::extract("source", "filesystem.csv_extractor", source)];
    steps.extend(sql.map(|sql| data::transform("result", "source", sql)));
    let last = if sql.is_some() { "result" } else { "source" };
    steps.push(data::write("write", last, "filesystem.parquet_writer", "path: out/result.parquet"));
    data::pipeline(&directory, &steps)
}

fn repeated(bench: &Bench, pipeline: &Path) -> Outcome<Vec<Cost>> {
    (0..bench.rounds).map(|_| cost(&mut bench.run(pipeline, &[]))).collect()
}

/// What each costs, by its size, as a ratio to the one at `base`.
fn compare(costs: Vec<(String, f64, Vec<Cost>)>, base: usize, unit: &str, target: &str) -> Vec<Row> {
    let each = |(_, size, costs): &(String, f64, Vec<Cost>)| {
        median(costs.iter().map(|cost| cost.wall).collect()).as_secs_f64() / size
    };
    let Some(reference) = costs.get(base).map(each) else { return Vec::new() };
    let named = costs.get(base).map_or_else(String::new, |(work, ..)| work.clone());
    let row = |cost: &(String, f64, Vec<Cost>)| Row {
        work: cost.0.clone(),
        osiris: shown(&cost.2),
        limit: if cost.0 == named { "-".to_owned() } else { format!("{unit} of: {named}") },
        ratio: if cost.0 == named { "-".to_owned() } else { format!("{:.2}", each(cost) / reference) },
        target: if cost.0 == named { "-".to_owned() } else { target.to_owned() },
    };
    costs.iter().map(row).collect()
}

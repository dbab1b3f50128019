//! The run store alone: how fast rows get in and out, in memory and in a file. The numbers of `docs/decisions/0005`.
//!
//! The rows are TPC-H lineitem, already in Arrow before the clock starts. Usage: `osiris-bench-store [SCALE] [ROUNDS]`.
#![expect(clippy::print_stdout, reason = "a program for the benchmarks, not a library")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use osiris_core::{Store, StoreKind, StoreOptions, TableRef};
use tpchgen::generators::LineItemGenerator;
use tpchgen_arrow::{LineItemArrow, arrow::array::RecordBatch};

/// Rows of a batch: about 8 MB of lineitem.
const BATCH: usize = 40_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let scale: f64 = arguments.next().map_or(Ok(1.0), |scale| scale.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(3), |rounds| rounds.parse())?;
    let generator = LineItemArrow::new(LineItemGenerator::new(scale, 1, 1)).with_batch_size(BATCH);
    let batches = generator.collect::<Result<Vec<RecordBatch>, _>>()?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    println!("{rows} rows of {} columns, median of {rounds} rounds\n", batches[0].num_columns());
    println!("| store | into the store | out of the store |\n| --- | --- | --- |");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for name in ["memory", "file"] {
        let (mut into, mut out) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let directory = tempfile::tempdir_in(".")?;
            let store = open(name, directory.path())?;
            let started = Instant::now();
            let table = runtime.block_on(fill(&store, &batches))?;
            into.push(started.elapsed());
            let started = Instant::now();
            runtime.block_on(drain(&store, &table))?;
            out.push(started.elapsed());
        }
        println!("| {name} | {:.2} s | {:.2} s |", median(into).as_secs_f64(), median(out).as_secs_f64());
    }
    Ok(())
}

fn open(name: &str, directory: &Path) -> osiris_core::Result<Store> {
    let kind = if name == "file" { StoreKind::File(directory.join("store.duckdb")) } else { StoreKind::Memory };
    Store::open(&StoreOptions::new(kind, directory.join("scratch")))
}

async fn fill(store: &Store, batches: &[RecordBatch]) -> osiris_core::Result<TableRef> {
    let sink = store.sink("lineitem").await?;
    let sender = sink.sender(batches[0].schema()).await?;
    for batch in batches {
        sender.send(batch.clone()).await?;
    }
    sink.finish().await
}

async fn drain(store: &Store, table: &TableRef) -> osiris_core::Result<()> {
    let mut scan = store.scan(table).open().await?;
    let mut rows = 0;
    while let Some(batch) = scan.next().await? {
        rows += batch.num_rows() as u64;
    }
    assert_eq!(rows, table.rows());
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

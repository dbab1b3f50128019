//! What the benchmarks of `cargo xtask bench` are measured with and against: data, and SQL typed by hand into the DuckDB that
//! Osiris links. No code of Osiris runs here.

mod program;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

use tpchgen::csv::LineItemCsv;
use tpchgen::generators::LineItemGenerator;

use program::ended;

const USAGE: &str = "usage: osiris-bench lineitem SCALE FILE | osiris-bench sql DATABASE STATEMENTS";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ended(match words.as_slice() {
        ["lineitem", scale, path] => lineitem(scale, path),
        ["sql", database, statements] => sql(database, statements),
        _ => Err(USAGE.into()),
    })
}

/// TPC-H lineitem as CSV with a header. The file appears under its name when it is whole.
fn lineitem(scale: &str, path: &str) -> Result<(), Box<dyn Error>> {
    let unfinished = format!("{path}.part");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
    writeln!(out, "{}", LineItemCsv::header())?;
    for item in LineItemGenerator::new(scale.parse()?, 1, 1).iter() {
        writeln!(out, "{}", LineItemCsv::new(item))?;
    }
    out.flush()?;
    Ok(std::fs::rename(unfinished, path)?)
}

fn sql(database: &str, statements: &str) -> Result<(), Box<dyn Error>> {
    Ok(duckdb::Connection::open(database)?.execute_batch(statements)?)
}

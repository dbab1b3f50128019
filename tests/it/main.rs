//! Whole pipelines through the program, from the files they read to the files they write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod adding;
mod codes;
mod connection_errors;
mod copy;
mod direct;
mod direct_databases;
mod direct_queries;
mod direct_resume;
mod duckdb_files;
mod exit_codes;
mod faults;
mod fields;
mod file_view;
mod flights;
mod graphql;
mod guides;
mod identity;
mod init_from;
mod interrupted;
mod kills;
mod look;
mod machine;
mod many_tables;
mod mcp;
mod migrating;
mod mysql;
mod on_failure;
mod original;
mod outage;
mod outcome;
mod parameters;
mod parts;
mod past_runs;
mod postgres;
mod posthog;
mod privacy;
mod records;
mod report;
mod sandbox;
mod secrets;
mod sql_errors;
mod sqlite;
mod standard_streams;
mod state;
mod supabase;
mod telemetry;
mod terminal;

use osiris_e2e::{Program, Project};

/// A project with these steps, indented by two, and a small file to read.
fn project(steps: &str) -> Project {
    let project = Project::with_steps(Program::built(), steps);
    project.write("orders.csv", "order_id,customer,amount\n1,a,10\n2,b,20\n3,a,30\n");
    project
}

/// Reads `orders.csv`.
const READ: &str = "  - {id: orders, component: filesystem.csv_extractor, mode: read, config: {path: orders.csv}}\n";

/// A query that takes minutes and little memory.
const SLOW: &str = "SELECT count(*) AS n FROM range(100000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";

/// A transformation.
fn sql(id: &str, query: &str) -> String {
    format!("  - {{id: {id}, component: duckdb.processor, mode: transform, config: {{query: \"{query}\"}}}}\n")
}

/// A step that writes the table of the one before it as CSV.
fn write(id: &str, path: &str) -> String {
    format!(
        "  - {{id: {id}, component: filesystem.csv_writer, mode: write, config: {{path: \"{path}\", columns: source}}}}\n"
    )
}

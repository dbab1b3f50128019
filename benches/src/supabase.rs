//! What the Supabase benchmark of `cargo xtask bench` is measured with: a PostgreSQL with PostgREST before it.
#![expect(clippy::print_stdout, reason = "a program for the benchmarks, not a library")]
#![expect(clippy::print_stderr, reason = "a program for the benchmarks, not a library")]

use std::error::Error;
use std::io::BufRead as _;
use std::process::ExitCode;

use osiris_stand_ins::supabase::{Gateway, Postgrest};
use osiris_testkit::services::{Postgres, PostgresOptions};
use serde_json::json;

const USAGE: &str = "usage: osiris-bench-supabase serve";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve"] => serve().await,
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints how to reach it as one line of JSON: the fields of a connection with both channels, and the address for other clients. Each
/// line that it reads is SQL, and is executed; it ends with its input.
async fn serve() -> Result<(), Box<dyn Error>> {
    // As a server with 4 GB would have it, and the same for whoever uses it.
    let options = PostgresOptions::new().with_setting("shared_buffers", "1GB").with_setting("max_wal_size", "4GB");
    let Some(postgres) = Postgres::start_with(options).await? else { return Err("there is no PostgreSQL".into()) };
    postgres.supabase_roles().await?;
    let Some(postgrest) = Postgrest::start(&postgres).await? else { return Err("there is no PostgREST".into()) };
    let gateway = Gateway::start(&postgrest)?;
    let mut about = postgres.supabase_connection_with(json!({"tls": "disabled"}));
    if let (Some(about), Some(rest)) = (about.as_object_mut(), gateway.connection().as_object()) {
        about.extend(rest.clone());
    }
    println!("{about}");
    for line in std::io::stdin().lock().lines() {
        postgres.execute(&line?).await?;
        println!("done");
    }
    Ok(())
}

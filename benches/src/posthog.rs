//! What the PostHog benchmark of `cargo xtask bench` is measured with and against: the stand-in with many events, and a
//! client that asks it the same questions and throws the answers away.
#![expect(clippy::print_stdout, reason = "a program for the benchmarks, not a library")]
#![expect(clippy::print_stderr, reason = "a program for the benchmarks, not a library")]

mod program;

use std::error::Error;
use std::fmt::Write as _;
use std::io::BufRead as _;
use std::process::ExitCode;

use osiris_stand_ins::posthog::PostHog;
use serde_json::json;

use program::ended;

const USAGE: &str = "usage: osiris-bench-posthog serve EVENTS FILE | osiris-bench-posthog discard URL KEY FILE";
/// Properties of an event: texts, numbers and flags in turn, as real ones are.
const PROPERTIES: usize = 30;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    ended(match words.as_slice() {
        ["serve", events, file] => serve(events, file).await,
        ["discard", url, key, file] => discard(url, key, file).await,
        _ => Err(USAGE.into()),
    })
}

/// Prints the fields of a connection to it as one line of JSON. For each line that it reads it writes the queries that it was asked to
/// `file`, one a line, and says so with a line; it ends with its input.
async fn serve(events: &str, file: &str) -> Result<(), Box<dyn Error>> {
    let server = PostHog::start()?;
    server.insert_select("events", &select(events.parse()?)).await?;
    println!("{}", server.connection());
    for line in std::io::stdin().lock().lines() {
        line?;
        std::fs::write(file, server.hogql().join("\n"))?;
        println!("written");
    }
    Ok(())
}

/// So many events, a tenth of a second apart.
fn select(events: u64) -> String {
    let mut properties = String::new();
    for number in 0..PROPERTIES {
        let value = match number % 3 {
            0 => format!("'value ' || (n * {} % 1000)", number + 7),
            1 => format!("n * {} % 100000", number + 3),
            _ => format!("n % {} = 0", number + 2),
        };
        let _ = write!(properties, "{}'property_{number}', {value}", if number == 0 { "" } else { ", " });
    }
    format!(
        "SELECT uuid()::VARCHAR AS uuid, 'page' AS event, 'person ' || (n % 5000) AS distinct_id, \
         TIMESTAMP '2024-01-01' + to_milliseconds(n * 100) AS timestamp, json_object({properties})::VARCHAR AS properties \
         FROM range({events}) AS numbers(n)"
    )
}

async fn discard(url: &str, key: &str, file: &str) -> Result<(), Box<dyn Error>> {
    // Plain HTTP; but the client wants to know whose cryptography it would use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut bytes = 0;
    for query in std::fs::read_to_string(file)?.lines() {
        let body = json!({"query": {"kind": "HogQLQuery", "query": query}, "refresh": "force_blocking"}).to_string();
        let request = client.post(url).bearer_auth(key).header("content-type", "application/json").body(body);
        let mut response = request.send().await?.error_for_status()?;
        while let Some(chunk) = response.chunk().await? {
            bytes += chunk.len();
        }
    }
    eprintln!("{bytes} bytes");
    Ok(())
}

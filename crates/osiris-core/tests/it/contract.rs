//! The examples of docs/driver-contract.md: wrong and right ways to keep the rules that are easily broken. What is right is tried here, what
//! is wrong is caught by the suite's tests of flawed drivers.

#![expect(dead_code, clippy::print_stdout, clippy::disallowed_methods, reason = "what is wrong is there to be read")]

use std::sync::Arc;
use std::time::Duration;

use osiris_core::DRY_RUN_ROWS;
use osiris_core::prelude::*;
use osiris_core::state::refuse_unknown_fields;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Server {
    /// The host.
    host: String,
    /// The API key.
    key: Secret,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The table to read.
    table: Option<String>,
    /// A query instead of a table.
    query: Option<String>,
    /// Whether amounts may be rounded to cents. Default: no.
    #[serde(default)]
    round: bool,
}

struct Session;

impl Session {
    async fn open(_: &str, _: &Secret) -> Result<Self> {
        Ok(Self)
    }

    fn end(&self) {}
}

// [drv_004]
fn key_from_anywhere() -> Option<String> {
    println!("connecting"); // wrong: standard output belongs to the program
    std::env::var("API_KEY").ok() // wrong: a key that no connection names
}

async fn open(connection: &Server) -> Result<Session> {
    tracing::debug!(host = connection.host, "connecting"); // right: structured, and no secret in it
    Session::open(&connection.host, &connection.key).await
}
// [end]

// [drv_005]
fn first_problem_only(config: &Wanted) -> Result<()> {
    if config.table.is_none() && config.query.is_none() {
        return Err(Error::validation("no table")); // wrong: found when the step runs, and the next one a run later
    }
    Ok(())
}

fn all_problems(config: &Wanted) -> Vec<Problem> {
    let mut problems = Vec::new(); // right: in `Component::validate`, which does no I/O; each with its field
    if config.table.is_none() && config.query.is_none() {
        problems.push(Problem::error("", "set `table` or `query`"));
    }
    if config.table.is_some() && config.query.is_some() {
        problems.push(Problem::error("/query", "`query` conflicts with `table`").with_hint("set one of them"));
    }
    problems
}
// [end]

// [drv_016]
async fn sleep_and_hope(retry_after: Duration) {
    tokio::time::sleep(Duration::from_secs(1).min(retry_after)).await; // wrong: earlier than the server says
}

fn too_many_requests(retry_after: Duration) -> Error {
    // right: core waits that long within the limits of the step; `osiris-http` does all of this for you
    Error::network("the server limits the rate of requests").with_retry_after(retry_after)
}
// [end]

// [drv_017]
fn everything_is_unknown(error: std::io::Error, password: &Secret) -> Error {
    // wrong: never retried, the cause is text, and the password is in it
    Error::unknown(format!("login as etl with {} failed: {error}", password.expose()))
}

fn by_what_happened(error: std::io::Error, host: &str) -> Error {
    let failed = match error.kind() {
        std::io::ErrorKind::TimedOut => Error::timeout(format!("no answer from {host}")),
        _ => Error::network(format!("cannot connect to {host}")),
    };
    // right: the kind decides about retries, the mark about the event `connection_failed`, the cause is attached
    failed.with_connection_failed().with_hint("check `host` and `port` of the connection").with_source(error)
}
// [end]

// [drv_025]
fn cents_rounded(amount: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "this is the wrong way")]
    let cents = (amount * 100.0).round() as i64; // wrong: 0.005 becomes 0.01, and nobody is told
    cents
}

/// The cents, and whether the value was changed.
fn cents(digits: &str, config: &Wanted) -> Result<(i64, bool)> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (kept, lost) = fraction.split_at(fraction.len().min(2));
    let is_altered = lost.bytes().any(|digit| digit != b'0');
    if is_altered && !config.round {
        return Err(
            Error::validation("an amount has more than two decimal places") // right: refused, without the value
                .with_hint("set `round: true` to allow rounding"),
        );
    }
    let text = format!("{whole}{kept:0<2}");
    let cents = text.parse().map_err(|_| Error::validation("an amount is not a number"))?;
    Ok((cents, is_altered)) // right: allowed by the step, and counted with `Extracted::with_altered`
}
// [end]

// [drv_029]
async fn all_rows_at_once(rows: Vec<i64>, out: &TableSink) -> Result<()> {
    let batch = numbers(rows); // wrong: as much memory as the table has rows
    out.sender(batch.schema()).await?.send(batch).await
}

async fn batch_by_batch(
    mut rows: impl Iterator<Item = i64>,
    step_is_dry: bool,
    out: &TableSink,
    ctx: &ExecutionContext,
) -> Result<Extracted> {
    let limit = if step_is_dry { DRY_RUN_ROWS } else { 65_536 };
    let sender = out.sender(numbers(Vec::new()).schema()).await?;
    let mut read = 0;
    while read == 0 || !step_is_dry {
        let batch: Vec<i64> = rows.by_ref().take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
        if batch.is_empty() || ctx.cancel().is_cancelled() {
            break;
        }
        read += batch.len() as u64;
        sender.send(numbers(batch)).await?; // right: waits while the store has enough in flight
    }
    Ok(Extracted::rows(read))
}
// [end]

fn numbers(rows: Vec<i64>) -> arrow::array::RecordBatch {
    let column = Arc::new(arrow::array::Int64Array::from(rows)) as _;
    arrow::array::RecordBatch::try_from_iter([("n", column)]).unwrap()
}

async fn read_all(_: &Session) -> Result<Extracted> {
    Ok(Extracted::rows(0))
}

// [crt_003]
async fn closed_if_all_goes_well(connection: &Server) -> Result<Extracted> {
    let session = open(connection).await?;
    let read = read_all(&session).await?; // wrong: an error, a time limit or Ctrl-C leaves the session behind
    session.end();
    Ok(read)
}

struct Ended(Session);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn closed_in_any_case(connection: &Server) -> Result<Extracted> {
    let session = Ended(open(connection).await?); // right: `Drop` runs on every path, dropped futures included
    read_all(&session.0).await
}
// [end]

// [crt_008]
fn offset_or_the_beginning(saved: Option<&Value>) -> u64 {
    saved.and_then(|saved| saved["offset"].as_u64()).unwrap_or(0) // wrong: a state that nobody understands is a fresh start
}

fn offset(saved: Option<&Value>) -> Result<u64> {
    let Some(saved) = saved else { return Ok(0) }; // the first run; `saved` is `Step::state`
    refuse_unknown_fields(saved, &["offset"])?; // right: nor is a state of a later version half understood
    saved["offset"].as_u64().ok_or_else(|| {
        Error::validation("the saved offset is not a number").with_hint("remove the state to start anew")
    })
}

fn with_offset(read: u64, offset: u64) -> Extracted {
    Extracted::rows(read).with_state(json!({"offset": offset})) // right: saved when everything downstream has succeeded
}
// [end]

// [transform]
/// Counts the rows of its input.
struct Counter;

impl Component for Counter {
    const SPEC: ComponentSpec = ComponentSpec::new("counter.processor", "1.0.0", Role::Transform, "Counts rows");
    type Connection = NoConnection;
    type Config = Wanted;
}

#[async_trait]
impl Transform for Counter {
    async fn transform(
        &self,
        step: &Step<'_, Self>,
        inputs: &Inputs,
        out: &TableSink,
        _: &ExecutionContext,
    ) -> Result<()> {
        let input = inputs.single(step.input_step())?; // the only one, or the one that `input_step` names
        let select = format!("SELECT count(*) AS n FROM {}", input.sql());
        out.call(move |transaction| transaction.create_table_as(&select, &|_| false)).await?;
        Ok(())
    }
}
// [end]

fn wanted(json: Value) -> Wanted {
    serde_json::from_value(json).unwrap()
}

#[test]
fn what_the_page_calls_right_is_right() {
    let json = json!({"table": "t", "query": "SELECT 1"});
    assert_eq!(all_problems(&wanted(json)).len(), 1);
    assert_eq!(all_problems(&wanted(json!({}))).len(), 1);
    let exact = wanted(json!({"table": "t"}));
    let rounds = wanted(json!({"table": "t", "round": true}));
    for (digits, expected) in
        [("12.34", (1234, false)), ("7", (700, false)), ("0.5", (50, false)), ("1.500", (150, false))]
    {
        assert_eq!(cents(digits, &exact).unwrap(), expected, "{digits}");
    }
    let refused = cents("0.005", &exact).unwrap_err();
    assert!(!refused.to_string().contains("0.005"), "{refused}");
    assert!(cents("0.005", &rounds).unwrap().1);
    assert!(too_many_requests(Duration::from_secs(7)).is_retryable());
    let refused = by_what_happened(std::io::ErrorKind::ConnectionRefused.into(), "db:5432");
    assert!(refused.is_retryable() && refused.is_connection_failed());
    assert_eq!(offset(None).unwrap(), 0);
    assert_eq!(offset(Some(&json!({"offset": 5}))).unwrap(), 5);
    for unreadable in [json!({"offset": 5, "part": 1}), json!({"offset": "5"}), json!(5)] {
        assert!(offset(Some(&unreadable)).is_err(), "{unreadable}");
    }
    assert_eq!(with_offset(1, 2), Extracted::rows(1).with_state(json!({"offset": 2})));
    Registry::new().processor(Counter).add().unwrap();
}

//! What core does around a component: parse strictly, retry, time out, roll back, count, log, redact.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::Int64Array;
use async_trait::async_trait;
use osiris_core::store::DirectEdge;
use osiris_core::{
    Component, ComponentSpec, ConfigSchema, ConnectionUse, DestinationId, Error, ErrorKind, ExecutionContext, Extract,
    Extracted, Family, Health, Inputs, PreparedStep, Registry, ResolvedConnection, Result, RetryPolicy, Role,
    RunContext, Secret, Step, StepFailure, StepOutput, StepRequest, TableRef, TableSink, Telemetry, Write, Written,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{batch, memory_store};

/// Makes `rows` rows, after failing as told.
#[derive(Default)]
struct Numbers {
    tries: AtomicU32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NumbersConfig {
    #[schemars(range(min = 0), extend("x-aliases" = ["count"]))]
    rows: i64,
    #[serde(default)]
    claimed: Option<u64>,
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    hang: bool,
    #[serde(default)]
    kind: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NumbersConnection {
    #[serde(default)]
    password: Option<Secret>,
}

impl Component for Numbers {
    const SPEC: ComponentSpec =
        ComponentSpec::new("test.numbers", "1", Role::Extract, "Numbers").with_connection(ConnectionUse::Required);
    type Connection = NumbersConnection;
    type Config = NumbersConfig;
}

#[async_trait]
impl Extract for Numbers {
    async fn extract(&self, step: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        let config = step.config();
        let data = batch(Int64Array::from_iter_values(0..config.rows));
        out.sender(data.schema()).await?.send(data).await?;
        if config.hang {
            std::future::pending::<()>().await;
        }
        if self.tries.fetch_add(1, SeqCst) < config.failures {
            let password = step.connection().password.as_ref().map_or("", |secret| secret.expose());
            let message = format!("refused, with {password}");
            return Err(match config.kind.as_deref() {
                Some("validation") => Error::validation(message),
                _ => Error::network(message)
                    .with_connection_failed()
                    .with_source(std::io::Error::other(password.to_owned())),
            });
        }
        let read = config.claimed.unwrap_or(config.rows.unsigned_abs());
        Ok(Extracted::rows(read).with_state(json!({"next": config.rows})))
    }
}

/// Acknowledges all rows but `lost`.
struct Void;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VoidConfig {
    #[serde(default)]
    lost: u64,
}

impl Component for Void {
    const SPEC: ComponentSpec = ComponentSpec::new("test.void", "1", Role::Write, "Void");
    type Connection = osiris_core::NoConnection;
    type Config = VoidConfig;
}

#[async_trait]
impl Write for Void {
    fn destination(&self, _: &VoidConfig, _: &osiris_core::NoConnection, _: &Path) -> DestinationId {
        DestinationId::file("/void")
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, _: &ExecutionContext) -> Result<Written> {
        Ok(Written::inserted(input.rows() - step.config().lost))
    }
}

/// Reads its input and acknowledges what it read; or fails before, as told.
struct Reader;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReaderConfig {
    #[serde(default)]
    refuse: bool,
}

impl Component for Reader {
    const SPEC: ComponentSpec = ComponentSpec::new("test.reader", "1", Role::Write, "Reader");
    type Connection = osiris_core::NoConnection;
    type Config = ReaderConfig;
}

#[async_trait]
impl Write for Reader {
    fn destination(&self, _: &ReaderConfig, _: &osiris_core::NoConnection, base: &Path) -> DestinationId {
        DestinationId::file(base.join("reader"))
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        if step.config().refuse {
            return Err(Error::permission("the destination is closed"));
        }
        let mut scan = ctx.store().scan(input).open().await?;
        let mut rows = 0;
        while let Some(batch) = scan.next().await? {
            rows += batch.num_rows() as u64;
        }
        Ok(Written::inserted(rows))
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn named(&self, key: &str, name: &str) -> Vec<Value> {
        let lines = self.text();
        lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line[key] == name)
            .collect()
    }
}

struct Bench {
    registry: Registry,
    run: RunContext,
    events: Lines,
    metrics: Lines,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let (store, directory) = memory_store();
        let mut registry = Registry::new();
        registry.extractor(Numbers::default()).add().unwrap();
        registry.writer(Void).add().unwrap();
        registry.writer(Reader).add().unwrap();
        let (events, metrics) = (Lines::default(), Lines::default());
        let telemetry =
            Telemetry::to_writers(Box::new(events.clone()), Box::new(metrics.clone()), "test", Default::default());
        let run = RunContext::new(store, telemetry, directory.path(), CancellationToken::new());
        Self { registry, run, events, metrics, _directory: directory }
    }

    fn request(&self) -> StepRequest {
        let retry = RetryPolicy { initial_delay: Duration::from_millis(1), ..RetryPolicy::times(3) };
        StepRequest { retry, ..StepRequest::new("numbers") }
    }

    fn prepare(&self, component: &str, config: &Value) -> Result<Arc<dyn PreparedStep>> {
        let driver = self.registry.get(component).unwrap();
        driver.prepare(config, Some(&ResolvedConnection::none()), Path::new(".")).into_step()
    }

    async fn extract(&self, config: Value) -> Result<StepOutput, StepFailure> {
        self.extract_as(config, &self.request()).await
    }

    async fn extract_as(&self, config: Value, request: &StepRequest) -> Result<StepOutput, StepFailure> {
        let step = self.prepare("test.numbers", &config).unwrap();
        step.run(request, &Inputs::none(), &self.run.step(&request.step_id)).await
    }
}

#[tokio::test]
async fn a_step_makes_its_table_and_its_metrics_once() {
    let bench = Bench::new();
    let output = bench.extract(json!({"count": 3})).await.unwrap();
    assert_eq!((output.rows, output.attempts, output.counts.read, output.counts.stored), (3, 1, 3, 3));
    assert_eq!(output.state.map(|saved| saved["state"].clone()), Some(json!({"next": 3})));
    let read = bench.metrics.named("metric", "rows_read");
    assert_eq!(read.len(), 1);
    assert_eq!(
        (&read[0]["value"], &read[0]["unit"], &read[0]["tags"]["step"]),
        (&json!(3), &json!("rows"), &json!("numbers"))
    );
    assert_eq!(bench.events.named("event", "step_start").len(), 1);
    assert_eq!(bench.events.named("event", "step_complete")[0]["rows_processed"], 3);
}

#[tokio::test]
async fn a_network_error_is_tried_again_and_rolled_back_in_between() {
    let bench = Bench::new();
    let output = bench.extract(json!({"rows": 3, "failures": 2})).await.unwrap();
    assert_eq!((output.rows, output.attempts), (3, 3));
    assert_eq!(bench.events.named("event", "step_retry_attempt").len(), 2);
    assert_eq!(bench.events.named("event", "connection_failed").len(), 2);
    assert_eq!(bench.metrics.named("metric", "rows_read").len(), 1);
}

#[tokio::test]
async fn the_time_of_a_step_is_that_of_the_attempt_that_succeeded_and_waiting_is_counted_on_its_own() {
    let bench = Bench::new();
    let output = bench.extract(json!({"rows": 3})).await.unwrap();
    assert_eq!(output.attempts, 1);
    assert_eq!(bench.metrics.named("metric", "attempts").len(), 0, "it was not tried again");
    let bench = Bench::new();
    let retry = RetryPolicy {
        initial_delay: Duration::from_millis(400),
        backoff: osiris_core::Backoff::Fixed,
        ..RetryPolicy::times(3)
    };
    let request = StepRequest { retry, ..bench.request() };
    let output = bench.extract_as(json!({"rows": 3, "failures": 2}), &request).await.unwrap();
    let value = |name: &str| bench.metrics.named("metric", name)[0]["value"].as_u64().unwrap();
    assert_eq!((value("attempts"), output.attempts), (3, 3));
    let (took, waited) = (value("query_duration_ms"), value("retry_wait_ms"));
    assert!(waited >= 400, "{waited}");
    let all = u64::try_from(output.duration.as_millis()).unwrap();
    assert!(took + waited <= all + 1, "{took} + {waited} of {all}");
}

#[tokio::test]
async fn retries_wait_on_the_clock_of_the_run() {
    let bench = Bench::new();
    let start = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let clock = osiris_core::clock::SimulatedClock::starting_at(start);
    let run = bench.run.clone().with_clock(Arc::new(clock.clone())).with_jitter(Arc::new(|| 0.5));
    let retry = RetryPolicy { initial_delay: Duration::from_secs(20), ..RetryPolicy::times(3) };
    let request = StepRequest { retry, ..bench.request() };
    let step = bench.prepare("test.numbers", &json!({"rows": 3, "failures": 2})).unwrap();
    let begun = std::time::Instant::now();
    let output = step.run(&request, &Inputs::none(), &run.step("numbers")).await.unwrap();
    assert_eq!(output.attempts, 3);
    assert_eq!(clock.slept(), [Duration::from_secs(15), Duration::from_millis(22_500)]);
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited for {:?}", begun.elapsed());
    let events = bench.events.named("event", "step_retry_attempt");
    assert_eq!(events[0]["ts"], "2023-11-14T22:13:20.000000Z");
    assert_eq!(events[1]["ts"], "2023-11-14T22:13:35.000000Z");
    assert_eq!(bench.metrics.named("metric", "retry_wait_ms")[0]["value"], 37_500);
}

#[tokio::test]
async fn a_step_that_is_cancelled_while_it_waits_to_be_tried_again_is_cancelled() {
    let bench = Bench::new();
    let retry = RetryPolicy { initial_delay: Duration::from_secs(60), ..RetryPolicy::times(3) };
    let request = StepRequest { retry, ..bench.request() };
    let cancel = bench.run.cancel().clone();
    let waits = async {
        while bench.events.named("event", "step_retry_attempt").is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(bench.extract_as(json!({"rows": 3, "failures": 2}), &request), waits).0 };
    let failure = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap().unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Cancelled, 1));
    assert_eq!(failure.error.step(), Some("numbers"));
}

#[tokio::test]
async fn a_validation_error_is_not_tried_again() {
    let bench = Bench::new();
    let failure = bench.extract(json!({"rows": 3, "failures": 1, "kind": "validation"})).await.unwrap_err();
    assert_eq!((failure.attempts, failure.error.kind()), (1, ErrorKind::Validation));
    assert_eq!(failure.error.step(), Some("numbers"));
    assert!(bench.run.store().table("numbers").await.unwrap().is_none());
}

#[tokio::test]
async fn a_lost_row_fails_the_step() {
    let bench = Bench::new();
    let failure = bench.extract(json!({"rows": 3, "claimed": 4})).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    assert!(failure.error.message().contains("the source gave 4 rows, but 3"), "{:?}", failure.error);
    assert!(bench.run.store().table("numbers").await.unwrap().is_none());
}

#[tokio::test]
async fn a_writer_that_loses_rows_fails_and_one_without_input_is_refused() {
    let bench = Bench::new();
    let table = bench.extract(json!({"rows": 3})).await.unwrap().table.unwrap();
    let void = bench.prepare("test.void", &json!({"lost": 1})).unwrap();
    let request = StepRequest::new("void");
    let failure = void.run(&request, &Inputs::one(table.clone()), &bench.run.step("void")).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    let failure = void.run(&request, &Inputs::none(), &bench.run.step("void")).await.unwrap_err();
    assert!(failure.error.message().contains("needs an input"));
    let void = bench.prepare("test.void", &json!({})).unwrap();
    let output = void.run(&request, &Inputs::one(table), &bench.run.step("void")).await.unwrap();
    assert_eq!((output.rows, output.counts.inserted), (3, 3));
    assert_eq!(bench.metrics.named("metric", "rows_written").len(), 1);
}

#[tokio::test]
async fn a_step_ends_at_its_timeout_and_at_a_cancellation() {
    let bench = Bench::new();
    let hanging = json!({"rows": 1, "hang": true});
    let timed =
        StepRequest { timeout: Some(Duration::from_millis(50)), retry: RetryPolicy::never(), ..bench.request() };
    assert_eq!(bench.extract_as(hanging.clone(), &timed).await.unwrap_err().error.kind(), ErrorKind::Timeout);
    let cancel = bench.run.cancel().clone();
    let (failure, ()) = tokio::join!(bench.extract(hanging), async { cancel.cancel() });
    assert_eq!(failure.unwrap_err().error.kind(), ErrorKind::Cancelled);
    assert!(bench.run.store().table("numbers").await.unwrap().is_none());
}

#[tokio::test]
async fn a_bad_config_is_refused_with_all_its_problems() {
    let bench = Bench::new();
    let error = bench.prepare("test.numbers", &json!({"rows": "three", "claimed": -1, "hnag": true})).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Validation);
    for part in [
        "3 problems",
        "rows: expected a whole number, found a string",
        "claimed: -1 is too small",
        "did you mean `hang`",
    ] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

#[test]
fn g10_null_is_absent_where_a_field_may_be() {
    let bench = Bench::new();
    bench.prepare("test.numbers", &json!({"rows": 1, "failures": null, "hang": null, "kind": null})).unwrap();
    let error = bench.prepare("test.numbers", &json!({"rows": null, "nothing": null})).err().unwrap();
    for part in ["rows: expected a whole number, found null", "unknown field `nothing`"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
}

#[test]
fn problems_of_config_and_connection_come_together_and_those_of_the_config_without_a_connection() {
    let (wrong, right) = (json!({"rows": "three"}), json!({"rows": 3}));
    let mut registry = Registry::new();
    registry.extractor(Numbers::default()).add().unwrap();
    let driver = registry.get("test.numbers").unwrap();
    let connection = |fields: Value| {
        ResolvedConnection::from_fields(fields.as_object().unwrap().clone(), driver.connection_schema())
    };
    let (broken, whole) = (connection(json!({"passwort": "x", "password": "hush-hush"})), connection(json!({})));
    let prepare = |config: &Value, connection| {
        let prepared = driver.prepare(config, connection, Path::new("."));
        let problems = (prepared.config_problems().len(), prepared.connection_problems().len());
        (problems, prepared.into_step().map(drop))
    };
    assert_eq!(prepare(&right, Some(&whole)).0, (0, 0));
    prepare(&right, Some(&whole)).1.unwrap();
    let (problems, both) = prepare(&wrong, Some(&broken));
    let both = both.unwrap_err().to_string();
    assert_eq!(problems, (1, 1));
    assert!(both.contains("rows: expected") && both.contains("did you mean `password`"), "{both}");
    // Without a connection there is no step, however good the configuration is.
    assert_eq!(prepare(&wrong, None).0, (1, 0));
    let (problems, missing) = prepare(&right, None);
    assert_eq!(problems, (0, 0));
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::Validation);
}

#[tokio::test]
async fn secrets_reach_neither_errors_nor_logs() {
    let bench = Bench::new();
    let secret = "p@ss/w0rd+==";
    let fields = json!({"password": secret}).as_object().unwrap().clone();
    let driver = bench.registry.get("test.numbers").unwrap();
    let connection = ResolvedConnection::from_fields(fields, driver.connection_schema());
    let prepared = driver.prepare(&json!({"rows": 1, "failures": 9}), Some(&connection), Path::new("."));
    let step = prepared.into_step().unwrap();
    let failure = step.run(&bench.request(), &Inputs::none(), &bench.run.step("numbers")).await.unwrap_err();
    let everything = format!("{:?} {} {}", failure.error, bench.events.text(), bench.metrics.text());
    assert!(!everything.contains("w0rd"), "{everything}");
    assert!(failure.error.report().contains("***"));
}

#[test]
fn unknown_components_suggest_names_and_features() {
    let mut registry = Registry::new().with_feature("mysql", "mysql");
    registry.writer(Void).add().unwrap();
    let twice = registry.writer(Void).add().unwrap_err();
    assert!(twice.message().contains("already registered"));
    let hint = |name: &str| registry.get(name).err().unwrap().hint().unwrap().to_owned();
    assert!(hint("test.viod").contains("did you mean `test.void`?"));
    assert!(hint("mysql.extractor").contains("Cargo feature `mysql`"));
    assert!(hint("what").contains("known components: test.void"));
    assert!(hint("test").contains("did you mean `test.void`?"));
    assert!(hint("test.anything").contains("did you mean `test.void`?"));
    assert!(hint("void").contains("did you mean `test.void`?"));
}

/// A family of numbers, which finds nothing and calls everything well.
struct Test;

#[async_trait]
impl Family for Test {
    const NAME: &'static str = "test";
    const HAS_DISCOVERY: bool = false;
    const HAS_DOCTOR: bool = true;
    type Connection = NumbersConnection;

    async fn check(&self, _: &NumbersConnection, limit: Duration) -> Health {
        Health::ok(limit, "well")
    }
}

#[tokio::test]
async fn the_components_of_a_family_share_its_connection_and_its_doctor() {
    let mut registry = Registry::new();
    registry
        .family(Test)
        .extractor(Numbers::default())
        .alias("test.any", &["test.numbers"], |config| match config.is_empty() {
            true => Ok("test.numbers"),
            false => Err(Error::validation("nothing is known of it")),
        })
        .add()
        .unwrap();
    let aliases: Vec<_> = registry.aliases().map(|alias| (alias.name(), alias.components())).collect();
    assert_eq!(aliases, [("test.any", ["test.numbers"].as_slice())]);
    let chosen = registry.find("test.any", &serde_json::Map::new()).unwrap();
    assert_eq!(chosen.spec().name, "test.numbers");
    let family = chosen.family();
    assert_eq!((family.name(), family.has_discovery(), family.has_doctor()), ("test", false, true));
    let none = ResolvedConnection::none();
    assert!(family.check(&none, Duration::from_secs(1)).await.ok);
    let error = family.discover(&none, None).await.unwrap_err();
    assert!(error.message().contains("the family `test` cannot discover"), "{error:?}");
    let fields = json!({"passwort": "x"}).as_object().unwrap().clone();
    let wrong = ResolvedConnection::from_fields(fields, family.connection_schema());
    assert_eq!(family.check_connection(&wrong).len(), 1);
    assert!(!family.check(&wrong, Duration::from_secs(1)).await.ok);
}

#[test]
fn a_family_is_added_whole_or_not_at_all() {
    let mut registry = Registry::new();
    let foreign =
        registry.family(Test).extractor(Numbers::default()).alias("other.any", &[], |_| Ok("test.numbers")).add();
    assert!(foreign.unwrap_err().message().contains("`other.any` is not a component of the family `test`"));
    let twice = registry.family(Test).extractor(Numbers::default()).extractor(Numbers::default()).add();
    assert!(twice.unwrap_err().message().contains("already registered"));
    let absent =
        registry.family(Test).extractor(Numbers::default()).alias("test.any", &["test.texts"], |_| Ok("")).add();
    assert!(absent.unwrap_err().message().contains("`test.any` stands for `test.texts`, which is not registered"));
    assert_eq!(registry.iter().count(), 0);
}

#[test]
fn the_schema_of_a_config_marks_what_it_should() {
    let schema = ConfigSchema::of::<NumbersConnection>();
    assert!(schema.is_secret("password"));
    assert!(!ConfigSchema::of::<NumbersConfig>().is_secret("rows"));
}

#[test]
fn a_word_that_is_no_choice_is_named_with_the_nearest_one() {
    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        /// Adds rows.
        Append,
        /// Replaces them.
        Overwrite,
    }
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Config {
        mode: Option<Mode>,
    }
    let problems = |config: Value| {
        let problems = ConfigSchema::of::<Config>().violations(&config);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let expected = "mode: `apend` is not one of append, overwrite (did you mean `append`?)";
    assert_eq!(problems(json!({"mode": "apend"})), expected);
    assert!(problems(json!({"mode": 3})).starts_with("mode: expected"), "{}", problems(json!({"mode": 3})));
}

/// Runs the step `numbers` and, with each of its attempts, `receiver` on its rows.
async fn hand_over(
    bench: &Bench,
    numbers: Value,
    receiver: &str,
    config: Value,
) -> (Result<StepOutput, StepFailure>, Vec<Result<u64, Error>>) {
    let (edge, mut tables) = DirectEdge::new("receiver");
    let sending = async move {
        let request = bench.request();
        let ctx = bench.run.step(&request.step_id).handing_over(edge);
        bench.prepare("test.numbers", &numbers).unwrap().run(&request, &Inputs::none(), &ctx).await
    };
    let receiving = async {
        let mut ended = Vec::new();
        while let Some(table) = tables.next().await {
            let request = StepRequest::new("receiver");
            let receiver = bench.prepare(receiver, &config).unwrap();
            let written = receiver.run(&request, &Inputs::one(table), &bench.run.step("receiver")).await;
            ended.push(written.map(|output| output.rows).map_err(Error::from));
        }
        ended
    };
    tokio::join!(sending, receiving)
}

#[tokio::test]
async fn a_source_that_tries_again_begins_again_with_its_receiver() {
    let bench = Bench::new();
    let numbers = json!({"rows": 3, "failures": 1});
    let (read, taken) = hand_over(&bench, numbers, "test.reader", json!({})).await;
    let read = read.unwrap();
    assert_eq!((read.rows, read.attempts, read.counts.stored), (3, 2, 3));
    let [Err(first), Ok(3)] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!(first.kind(), ErrorKind::Cancelled);
    assert!(first.message().contains("step `numbers`, which sends its rows, did not finish"), "{first:?}");
    assert_eq!(bench.events.named("event", "inputs_resolved")[0]["rows"], Value::Null);
}

#[tokio::test]
async fn a_receiver_that_fails_is_the_cause_and_the_source_is_only_stopped() {
    let bench = Bench::new();
    // Even one that is silent.
    for hang in [false, true] {
        let numbers = json!({"rows": 3, "hang": hang});
        let (read, taken) = hand_over(&bench, numbers, "test.reader", json!({"refuse": true})).await;
        let read = read.unwrap_err();
        assert_eq!((read.attempts, read.error.kind()), (1, ErrorKind::Cancelled));
        assert!(
            read.error.message().contains("step `receiver`, which receives its rows, did not finish"),
            "{:?}",
            read.error
        );
        let [Err(cause)] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!((cause.kind(), cause.message()), (ErrorKind::Permission, "the destination is closed"));
    }
}

#[tokio::test]
async fn a_receiver_is_not_done_before_it_has_read_everything() {
    let bench = Bench::new();
    let (read, taken) = hand_over(&bench, json!({"rows": 3}), "test.void", json!({})).await;
    assert_eq!(read.unwrap_err().error.kind(), ErrorKind::Cancelled);
    let [Err(cause)] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!(cause.kind(), ErrorKind::Integrity);
    assert!(cause.message().contains("before it had read all rows"), "{cause:?}");
}

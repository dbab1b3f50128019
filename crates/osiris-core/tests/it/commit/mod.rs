//! The point of no return of a write: from there on nothing drops it, nothing repeats it, and nobody says what is not
//! known.

mod awaits;
mod records;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::Int64Array;
use async_trait::async_trait;
use osiris_core::{
    CommitEnd, CommitLimits, CommitLog, CommitOutcome, CommitRecord, Component, ComponentSpec, Error, ErrorKind,
    ExecutionContext, Inputs, Intent, Registry, ResolvedConnection, Result, RetryPolicy, Role, RunContext, Step,
    StepFailure, StepOutput, StepRequest, TableRef, Telemetry, Write, Written,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{batch, memory_store};

/// What a destination has been through.
#[derive(Default)]
struct Destination {
    /// Writes that took effect.
    writes: AtomicU32,
    /// Writers that were dropped before they were done.
    dropped: AtomicU32,
    /// How often it was asked.
    asked: AtomicU32,
    committing: Notify,
}

/// Writes as its configuration says, faults included.
struct Faulty(Arc<Destination>);

#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct FaultyConfig {
    prepare_ms: u64,
    commit_ms: u64,
    finish_ms: u64,
    repeatable: bool,
    parts: bool,
    /// Rows that the destination does not count before the commit, nor after it.
    uncounted: u64,
    /// Rows that it does not count after the commit.
    lost: u64,
    /// What happens instead of an answer, in the first attempts.
    fault: Option<String>,
    faulty_attempts: u32,
    /// What the destination says when it is asked.
    knows: Option<String>,
}

impl Component for Faulty {
    const SPEC: ComponentSpec = ComponentSpec::new("test.faulty", "1", Role::Write, "Faulty");
    type Connection = osiris_core::NoConnection;
    type Config = FaultyConfig;
}

struct Running<'a>(&'a Destination, bool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.fetch_add(1, SeqCst);
        }
    }
}

#[async_trait]
impl Write for Faulty {
    fn destination(&self, _: &Self::Config, _: &Self::Connection, base: &Path) -> osiris_core::DestinationId {
        osiris_core::DestinationId::file(base.join("faulty"))
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let config = step.config();
        let mut running = Running(&self.0, false);
        let millis = |millis| tokio::time::sleep(Duration::from_millis(millis));
        millis(config.prepare_ms).await;
        let counted = input.rows() - config.uncounted;
        let written = Written::inserted(counted - config.lost);
        let intent = Intent::new("table `t`").with_written(Written::inserted(counted));
        let mut intent = intent.with_repeatable(config.repeatable);
        if config.parts {
            intent = intent.with_parts();
        }
        let commit = ctx.begin_commit(intent).await?;
        self.0.committing.notify_one();
        millis(config.commit_ms).await;
        let nth = self.0.writes.fetch_add(1, SeqCst) + 1;
        if nth <= config.faulty_attempts {
            match config.fault.as_deref() {
                Some("panic") => panic!("as told"),
                Some("hang") => std::future::pending::<()>().await,
                Some("silent") => {}
                Some("undone") => {
                    self.0.writes.fetch_sub(1, SeqCst);
                    commit.not_committed().await;
                    running.1 = true;
                    // Only the first time.
                    return Err(Error::network("the server rolled back").with_retryable(false));
                }
                _ => {
                    running.1 = true;
                    return Err(Error::network("the connection was lost"));
                }
            }
        }
        if config.fault.as_deref() != Some("silent") {
            commit.committed(written).await;
        }
        millis(config.finish_ms).await;
        running.1 = true;
        Ok(written)
    }

    async fn outcome(
        &self,
        step: &Step<'_, Self>,
        intent: &Intent,
        input: Option<&TableRef>,
        _: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        self.0.asked.fetch_add(1, SeqCst);
        assert_eq!((intent.destination(), input.map(TableRef::rows)), ("table `t`", Some(3)));
        match step.config().knows.as_deref() {
            Some("committed") => Ok(CommitOutcome::Committed { written: None }),
            Some("not") => {
                self.0.writes.store(0, SeqCst);
                Ok(CommitOutcome::NotCommitted)
            }
            Some("hang") => std::future::pending().await,
            _ => Ok(CommitOutcome::Unknown),
        }
    }
}

/// Keeps what is recorded, with the number of writes that had taken effect by then.
#[derive(Default)]
struct Recorded {
    lines: Mutex<Vec<(String, u32)>>,
    destination: Arc<Destination>,
    is_full: bool,
    /// How long a record takes.
    slow: Duration,
}

impl CommitLog for Recorded {
    fn begun(&self, record: &CommitRecord) -> Result<()> {
        if self.is_full {
            return Err(Error::from(std::io::Error::from(std::io::ErrorKind::StorageFull)));
        }
        std::thread::sleep(self.slow);
        let line = format!("begun {} {} {:?}", record.step, record.attempt, record.read);
        self.lines.lock().unwrap().push((line, self.destination.writes.load(SeqCst)));
        Ok(())
    }

    fn ended(&self, record: &CommitRecord, end: &CommitEnd) -> Result<()> {
        let line = format!("{} {end:?}", record.step);
        self.lines.lock().unwrap().push((line, self.destination.writes.load(SeqCst)));
        Ok(())
    }
}

struct Bench {
    destination: Arc<Destination>,
    log: Arc<Recorded>,
    run: RunContext,
    registry: Registry,
    table: TableRef,
    timeout: Option<Duration>,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with_log(false, Duration::ZERO).await
    }

    async fn with_log(is_full: bool, slow: Duration) -> Self {
        let (store, directory) = memory_store();
        let sink = store.sink("numbers").await.unwrap();
        let data = batch(Int64Array::from_iter_values(0..3));
        sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
        let table = sink.finish().await.unwrap();
        let destination = Arc::new(Destination::default());
        let log = Arc::new(Recorded { destination: Arc::clone(&destination), is_full, slow, ..Recorded::default() });
        let millis = Duration::from_millis;
        let limits = CommitLimits { answer: millis(400), finishing: millis(100), asking: millis(100) };
        let run = RunContext::new(store, Telemetry::discard(), directory.path(), CancellationToken::new());
        let run = run.with_commit_log(Arc::clone(&log) as _).with_commit_limits(limits);
        let mut registry = Registry::new();
        registry.writer(Faulty(Arc::clone(&destination))).add().unwrap();
        Self { destination, log, run, registry, table, timeout: None, _directory: directory }
    }

    fn limited(mut self, millis: u64) -> Self {
        self.timeout = Some(Duration::from_millis(millis));
        self
    }

    async fn write(&self, config: Value) -> Result<StepOutput, StepFailure> {
        let retry = RetryPolicy { initial_delay: Duration::from_millis(1), ..RetryPolicy::times(3) };
        let request = StepRequest { retry, timeout: self.timeout, ..StepRequest::new("load") };
        let driver = self.registry.get("test.faulty").unwrap();
        let step = driver.prepare(&config, Some(&ResolvedConnection::none()), Path::new(".")).into_step().unwrap();
        step.run(&request, &Inputs::one(self.table.clone()), &self.run.step("load")).await
    }

    /// The same, cancelled while the writer commits.
    async fn write_cancelled(&self, config: Value) -> Result<StepOutput, StepFailure> {
        let cancel = async {
            self.destination.committing.notified().await;
            self.run.cancel().cancel();
        };
        tokio::join!(self.write(config), cancel).0
    }

    fn writes(&self) -> u32 {
        self.destination.writes.load(SeqCst)
    }

    fn dropped(&self) -> u32 {
        self.destination.dropped.load(SeqCst)
    }

    fn lines(&self) -> Vec<(String, u32)> {
        self.log.lines.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn s1_a_time_limit_does_not_drop_a_writer_that_commits() {
    let bench = Bench::new().await.limited(30);
    let output = bench.write(json!({"commit_ms": 150})).await.unwrap();
    assert_eq!((output.rows, output.attempts, output.counts.read), (3, 1, 3));
    assert_eq!((bench.writes(), bench.dropped()), (1, 0));
}

#[tokio::test]
async fn s1_a_time_limit_before_that_drops_it_and_it_is_tried_again() {
    let bench = Bench::new().await.limited(30);
    let failure = bench.write(json!({"prepare_ms": 5000})).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Timeout, 3));
    assert!(!failure.may_have_written);
    assert_eq!((bench.writes(), bench.dropped()), (0, 3));
    assert_eq!(bench.lines(), []);
}

#[tokio::test]
async fn s58_a_cancellation_waits_for_the_answer_to_a_commit() {
    let bench = Bench::new().await;
    let output = bench.write_cancelled(json!({"commit_ms": 150})).await.unwrap();
    assert_eq!((output.rows, bench.writes(), bench.dropped()), (3, 1, 0));
}

#[tokio::test]
async fn s1_an_answer_that_has_arrived_counts_more_than_a_cancellation() {
    let bench = Bench::new().await;
    // Both are there when the step is looked at again.
    let output = bench.write_cancelled(json!({})).await.unwrap();
    assert_eq!((output.rows, bench.writes()), (3, 1));
}

#[tokio::test]
async fn s1_a_step_that_is_stopped_begins_no_commit() {
    let bench = Bench::new().await;
    bench.run.cancel().cancel();
    let failure = bench.write(json!({})).await.unwrap_err();
    assert_eq!((failure.error.kind(), bench.writes()), (ErrorKind::Cancelled, 0));
    assert_eq!(bench.lines(), []);
}

#[tokio::test]
async fn s1_a_commit_without_an_answer_is_ambiguous_and_not_tried_again() {
    let hang = json!({"fault": "hang", "faulty_attempts": 9});
    for cancelled in [false, true] {
        let bench = Bench::new().await.limited(if cancelled { 60_000 } else { 30 });
        let ended = if cancelled { bench.write_cancelled(hang.clone()).await } else { bench.write(hang.clone()).await };
        let failure = ended.unwrap_err();
        assert_eq!((failure.error.kind(), failure.attempts, bench.writes()), (ErrorKind::Ambiguous, 1, 1));
        assert!(failure.may_have_written && !failure.error.is_retryable());
        assert!(!failure.error.with_retryable(true).is_retryable());
        let expected = if cancelled { "cancelled before the step finished" } else { "step timed out after 0.03 s" };
        let failure = bench.write(hang.clone()).await.unwrap_err();
        let report = failure.error.report();
        if cancelled {
            // The run is over: nothing begins any more.
            assert_eq!(failure.error.kind(), ErrorKind::Cancelled);
            continue;
        }
        assert!(report.contains("it is not known whether the rows were committed to table `t`"), "{report}");
        assert!(
            report.contains(expected) && report.contains("hint: check whether the rows are in table `t`"),
            "{report}"
        );
        assert!(!report.contains("resume") && !report.contains("step_ms"), "{report}");
        // The intent was recorded before anything happened, and nothing after it.
        assert_eq!(bench.lines()[0], ("begun load 1 Some(3)".to_owned(), 0));
        assert_eq!(bench.lines().len(), 2, "{:?}", bench.lines());
    }
}

#[tokio::test]
async fn s59_a_lost_answer_is_ambiguous_and_not_tried_again() {
    for parts in [false, true] {
        let bench = Bench::new().await;
        let failure = bench.write(json!({"faulty_attempts": 9, "parts": parts})).await.unwrap_err();
        assert_eq!((failure.error.kind(), failure.attempts, bench.writes()), (ErrorKind::Ambiguous, 1, 1));
        let report = failure.error.report();
        assert!(report.contains("caused by: the connection was lost"), "{report}");
        assert_eq!(report.contains("some of the rows may be in table `t`"), parts, "{report}");
    }
}

#[tokio::test]
async fn s1_a_repeatable_write_without_an_answer_is_tried_again() {
    let bench = Bench::new().await;
    let output = bench.write(json!({"faulty_attempts": 1, "repeatable": true})).await.unwrap();
    assert_eq!((output.rows, output.attempts, bench.writes()), (3, 2, 2));
    assert_eq!(bench.destination.asked.load(SeqCst), 0);
    let bench = Bench::new().await;
    let failure = bench.write(json!({"faulty_attempts": 9, "repeatable": true})).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Network, 3));
    assert!(failure.may_have_written && failure.error.is_retryable());
}

#[tokio::test]
async fn s1_the_destination_is_asked_and_its_answer_counts() {
    let bench = Bench::new().await;
    let output = bench.write(json!({"faulty_attempts": 1, "knows": "committed"})).await.unwrap();
    assert_eq!((output.rows, output.attempts, output.counts.read, bench.writes()), (3, 1, 3, 1));
    assert!(bench.lines()[1].0.contains("Committed"), "{:?}", bench.lines());

    let bench = Bench::new().await;
    let failure = bench.write(json!({"faulty_attempts": 1, "knows": "not"})).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts, bench.writes()), (ErrorKind::Network, 3, 0));
    assert!(!failure.may_have_written);

    let bench = Bench::new().await;
    let failure = bench.write(json!({"faulty_attempts": 1, "knows": "hang"})).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Ambiguous, 1));
    // After a cancellation, too.
    let bench = Bench::new().await;
    let config = json!({"fault": "hang", "faulty_attempts": 1, "knows": "committed"});
    assert_eq!(bench.write_cancelled(config).await.unwrap().rows, 3);
}

#[tokio::test]
async fn s1_a_commit_that_was_undone_is_an_error_like_any_other() {
    let bench = Bench::new().await;
    let failure = bench.write(json!({"fault": "undone", "faulty_attempts": 1})).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.may_have_written), (ErrorKind::Network, false));
    assert_eq!(failure.error.message(), "the server rolled back");
    assert!(bench.lines()[1].0.contains("NotCommitted"), "{:?}", bench.lines());
}

#[tokio::test]
async fn s1_what_is_late_after_the_commit_is_no_error_of_the_write() {
    let bench = Bench::new().await.limited(500);
    let output = bench.write(json!({"finish_ms": 5000})).await.unwrap();
    assert_eq!((output.rows, output.counts.read, output.attempts, bench.writes()), (3, 3, 1, 1));
    let bench = Bench::new().await;
    let output = bench.write_cancelled(json!({"finish_ms": 5000})).await.unwrap();
    assert_eq!((output.rows, bench.writes()), (3, 1));
}

#[tokio::test]
async fn s3_a_panic_ends_its_step_and_counts_like_any_other_end() {
    let bench = Bench::new().await;
    let failure = bench.write(json!({"fault": "panic", "faulty_attempts": 9})).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts, bench.writes()), (ErrorKind::Ambiguous, 1, 1));
    assert!(failure.error.report().contains("caused by: the component panicked"), "{}", failure.error.report());
}

//! A time limit and a cancellation at every await of a writer, from its announcement to the end: none of them drops it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::Int64Array;
use async_trait::async_trait;
use osiris_core::{
    CommitEnd, CommitLog, CommitRecord, Component, ComponentSpec, DestinationId, ExecutionContext, Inputs, Intent,
    NoConnection, Registry, ResolvedConnection, Result, RetryPolicy, Role, RunContext, Step, StepFailure, StepOutput,
    StepRequest, TableRef, Telemetry, Write, Written,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{batch, memory_store};

/// How long one attempt may take.
const LIMIT: Duration = Duration::from_millis(40);

/// What ends a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Cancel,
    Limit,
}

/// Where it strikes: the moments from the announcement of the commit on, in their order.
const MOMENTS: [&str; 9] =
    ["announced", "sent 1", "sent 2", "sent 3", "answered", "recording", "counted", "cleared", "closed"];
/// The first moment at which the rows are sent, and the one after the last.
const SENDING: std::ops::Range<usize> = 1..4;

#[derive(Default)]
struct Seen {
    /// The first, once, and every part after it.
    parts: AtomicU32,
    dropped: AtomicU32,
    begun: AtomicU32,
    ended: Mutex<Vec<String>>,
}

/// Stops its own step at one moment, as whoever presses Ctrl-C or the clock does.
struct Stopped {
    seen: Arc<Seen>,
    stop: Stop,
    at: usize,
    cancel: CancellationToken,
}

impl Stopped {
    /// Stops the step if it is that moment, and lets everything else that waits go on.
    async fn moment(&self, moment: &str) {
        if MOMENTS[self.at] == moment {
            self.strike();
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn strike(&self) {
        match self.stop {
            Stop::Cancel => self.cancel.cancel(),
            // Whatever is looked at next finds that the limit has passed.
            Stop::Limit => std::thread::sleep(LIMIT),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

impl Component for Stopped {
    const SPEC: ComponentSpec = ComponentSpec::new("test.stopped", "1", Role::Write, "Stopped");
    type Connection = NoConnection;
    type Config = Nothing;
}

struct Running<'a>(&'a Seen, bool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(u32::from(!self.1), SeqCst);
    }
}

#[async_trait]
impl Write for Stopped {
    fn destination(&self, _: &Nothing, _: &NoConnection, base: &Path) -> DestinationId {
        DestinationId::file(base.join("stopped"))
    }

    async fn write(&self, _: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let mut running = Running(&self.seen, false);
        let written = Written::inserted(input.rows());
        let commit = ctx.begin_commit(Intent::new("table `t`").with_written(written)).await?;
        self.moment("announced").await;
        for part in SENDING {
            self.seen.parts.fetch_add(1, SeqCst);
            self.moment(MOMENTS[part]).await;
        }
        self.moment("answered").await;
        commit.committed(written).await;
        for moment in ["counted", "cleared", "closed"] {
            self.moment(moment).await;
        }
        running.1 = true;
        Ok(written)
    }
}

/// The log, whose record of the outcome takes its time.
struct Log(Arc<Seen>, Stop, Option<CancellationToken>);

impl CommitLog for Log {
    fn begun(&self, _: &CommitRecord) -> Result<()> {
        self.0.begun.fetch_add(1, SeqCst);
        Ok(())
    }

    fn ended(&self, _: &CommitRecord, end: &CommitEnd) -> Result<()> {
        if let Some(cancel) = &self.2 {
            match self.1 {
                Stop::Cancel => cancel.cancel(),
                Stop::Limit => std::thread::sleep(LIMIT),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.0.ended.lock().unwrap().push(format!("{end:?}"));
        Ok(())
    }
}

async fn write(stop: Stop, at: usize) -> (Arc<Seen>, Result<StepOutput, StepFailure>) {
    let (store, directory) = memory_store();
    let sink = store.sink("numbers").await.unwrap();
    let data = batch(Int64Array::from_iter_values(0..3));
    sink.sender(data.schema()).await.unwrap().send(data).await.unwrap();
    let table = sink.finish().await.unwrap();
    let (seen, cancel) = (Arc::new(Seen::default()), CancellationToken::new());
    let recording = (MOMENTS[at] == "recording").then(|| cancel.clone());
    let log = Log(Arc::clone(&seen), stop, recording);
    let run =
        RunContext::new(store, Telemetry::discard(), directory.path(), cancel.clone()).with_commit_log(Arc::new(log));
    let mut registry = Registry::new();
    registry.writer(Stopped { seen: Arc::clone(&seen), stop, at, cancel }).add().unwrap();
    let retry = RetryPolicy { initial_delay: Duration::from_millis(1), ..RetryPolicy::times(3) };
    let timeout = (stop == Stop::Limit).then_some(LIMIT);
    let request = StepRequest { retry, timeout, ..StepRequest::new("load") };
    let driver = registry.get("test.stopped").unwrap();
    let step = driver.prepare(&json!({}), Some(&ResolvedConnection::none()), Path::new(".")).into_step().unwrap();
    let ended = step.run(&request, &Inputs::one(table), &run.step("load")).await;
    (seen, ended)
}

#[tokio::test]
async fn s1_no_limit_and_no_cancellation_drops_a_writer_at_any_await_once_it_may_have_written() {
    for stop in [Stop::Cancel, Stop::Limit] {
        for (at, moment) in MOMENTS.iter().enumerate() {
            let (seen, ended) = write(stop, at).await;
            let when = format!("{stop:?} when {moment}");
            let output = ended.unwrap_or_else(|failure| panic!("{when}: {:?}", failure.error));
            assert_eq!((output.rows, output.attempts, output.counts.inserted), (3, 1, 3), "{when}");
            let counts = [&seen.dropped, &seen.begun, &seen.parts].map(|count| count.load(SeqCst));
            assert_eq!(counts, [0, 1, 3], "{when}: dropped, begun, parts");
            let ended = seen.ended.lock().unwrap().clone();
            assert!(ended.len() == 1 && ended[0].contains("Committed"), "{when}: {ended:?}");
        }
    }
}

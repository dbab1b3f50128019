//! Writes whose commits are logged, and what is found out about them afterwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use osiris_core::commit::{CommitEnd, CommitLog, CommitOutcome, CommitRecord, Intent};
use osiris_core::{
    Inputs, PreparedStep, Result, RetryPolicy, RunContext, StepFailure, StepOutput, StepRequest, TableRef,
};
use serde_json::Value;

use crate::Bench;

/// Keeps the intents of a run, and does something at the moment of each.
pub struct Log {
    intents: Mutex<Vec<Intent>>,
    ends: Mutex<Vec<CommitEnd>>,
    then: Box<dyn Fn() + Send + Sync>,
}

impl Log {
    /// Nothing yet. `then` is done as soon as a commit has begun.
    pub fn new(then: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { intents: Mutex::default(), ends: Mutex::default(), then: Box::new(then) })
    }

    /// The last intent: all that is left of a run that was killed.
    pub fn intent(&self) -> Intent {
        self.intents.lock().unwrap().last().unwrap().clone()
    }

    /// How the commits ended.
    pub fn ends(&self) -> Vec<CommitEnd> {
        self.ends.lock().unwrap().clone()
    }
}

impl CommitLog for Log {
    fn begun(&self, record: &CommitRecord) -> Result<()> {
        self.intents.lock().unwrap().push(record.intent.clone());
        (self.then)();
        // A proxy looks for a new fault every few milliseconds.
        std::thread::sleep(Duration::from_millis(50));
        Ok(())
    }

    fn ended(&self, _: &CommitRecord, end: &CommitEnd) -> Result<()> {
        self.ends.lock().unwrap().push(*end);
        Ok(())
    }
}

/// A write whose commits are logged.
pub struct Run {
    step: Arc<dyn PreparedStep>,
    request: StepRequest,
    input: TableRef,
    context: RunContext,
}

impl Run {
    /// The write of the rows of a query by `writer`, which is tried once.
    pub async fn new(
        bench: &Bench,
        writer: &str,
        connection: &Value,
        config: Value,
        data: &str,
        log: &Arc<Log>,
    ) -> Self {
        let step = bench.prepare(writer, &config, connection).unwrap().into_step().unwrap();
        let request = StepRequest { retry: RetryPolicy::never(), ..StepRequest::new("write") };
        let input = bench.table("source", data).await.unwrap();
        let log: Arc<dyn CommitLog> = Arc::clone(log) as _;
        Self { step, request, input, context: bench.run_context().clone().with_commit_log(log) }
    }

    /// What the write runs in.
    pub fn context(&self) -> &RunContext {
        &self.context
    }

    /// Writes.
    ///
    /// # Errors
    /// Those of the step.
    pub async fn run(&self) -> Result<StepOutput, StepFailure> {
        self.step.run(&self.request, &Inputs::one(self.input.clone()), &self.context.step("write")).await
    }

    /// What a run that resumes this one learns.
    pub async fn asked(&self, intent: &Intent) -> CommitOutcome {
        self.outcome(intent).await.unwrap()
    }

    /// The same, or why it cannot be found out.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn outcome(&self, intent: &Intent) -> Result<CommitOutcome> {
        let inputs = Inputs::one(self.input.clone());
        self.step.outcome(&self.request, intent, &inputs, &self.context.step("write")).await
    }
}

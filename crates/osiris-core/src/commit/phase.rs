//! The state of one attempt: before its point of no return, past it with an unknown outcome, or past it with a known
//! one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::json;
use tokio::sync::watch;

use super::{Commit, CommitEnd, CommitLimits, CommitLog, CommitRecord, Intent};
use crate::telemetry::{Telemetry, event};
use crate::{Error, Result, Role, StepCounts, TableRef, Written};

/// The commits of one attempt.
pub(crate) struct Phase {
    step: Arc<str>,
    attempt: u32,
    fingerprint: Option<String>,
    log: Option<Arc<dyn CommitLog>>,
    telemetry: Telemetry,
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// No further commit may begin.
    closed: bool,
    input: Option<TableRef>,
    commits: Vec<Begun>,
}

#[derive(Clone)]
struct Begun {
    record: Arc<CommitRecord>,
    end: Option<CommitEnd>,
}

/// The state of an attempt that has ended.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// It never began to commit.
    Untouched,
    /// All its commits were undone.
    NotCommitted,
    /// It has written; `None` if the rows were not counted.
    Committed(Option<Written>),
    /// The commits whose outcome is unknown, in the order in which they began.
    Unknown(Vec<Arc<CommitRecord>>),
}

impl Phase {
    pub(crate) fn new(
        step: Arc<str>,
        attempt: u32,
        fingerprint: Option<String>,
        log: Option<Arc<dyn CommitLog>>,
        telemetry: Telemetry,
    ) -> Arc<Self> {
        let (changes, _) = watch::channel(());
        Arc::new(Self { step, attempt, fingerprint, log, telemetry, state: Mutex::default(), changes })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table that the attempt writes.
    pub(crate) fn set_input(&self, input: &TableRef) {
        self.state().input = Some(input.clone());
    }

    /// Passes the point of no return.
    pub(crate) async fn begin(self: &Arc<Self>, intent: Intent, rejected: u64) -> Result<Commit> {
        if let Some(input) = self.state().input.clone() {
            input.ensure_unchanged()?;
            balances(&input, &intent, rejected)?;
        }
        let (index, record) = self.push(intent, rejected)?;
        self.telemetry.log_event(
            event::COMMIT_BEGIN,
            json!({
                "step_id": &*self.step,
                "destination": record.intent.destination(),
                "repeatable": record.intent.is_repeatable(),
            }),
        );
        if let Some(log) = &self.log {
            let (log, begun) = (Arc::clone(log), Arc::clone(&record));
            if let Err(error) = blocking(move || log.begun(&begun)).await {
                // Nothing has been sent, so nothing can be committed.
                self.settle(index, CommitEnd::NotCommitted);
                return Err(Error::new(error.kind(), "the write did not begin: its intent could not be recorded")
                    .with_retryable(false)
                    .with_hint("nothing was written: free disk space for the run directory, then run again")
                    .with_source(error));
            }
        }
        let commit = Commit { phase: Arc::clone(self), index };
        if self.state().closed {
            commit.not_committed().await;
            return Err(stopped());
        }
        Ok(commit)
    }

    fn push(&self, intent: Intent, rejected: u64) -> Result<(usize, Arc<CommitRecord>)> {
        let mut state = self.state();
        if state.closed {
            return Err(stopped());
        }
        let index = state.commits.len();
        let record = Arc::new(CommitRecord {
            step: self.step.to_string(),
            fingerprint: self.fingerprint.clone(),
            attempt: self.attempt,
            number: u32::try_from(index + 1).unwrap_or(u32::MAX),
            read: state.input.as_ref().and_then(TableRef::expected_rows),
            rejected,
            intent,
        });
        state.commits.push(Begun { record: Arc::clone(&record), end: None });
        Ok((index, record))
    }

    /// Sets the outcome of a commit in memory.
    fn settle(&self, index: usize, end: CommitEnd) -> Option<Arc<CommitRecord>> {
        let mut state = self.state();
        let begun = state.commits.get_mut(index)?;
        begun.end = Some(end);
        let record = Arc::clone(&begun.record);
        drop(state);
        self.changes.send_replace(());
        Some(record)
    }

    /// Sets the outcome of a commit and records it in the log.
    pub(super) async fn end(&self, index: usize, end: CommitEnd) {
        let Some(record) = self.settle(index, end) else { return };
        let outcome = match end {
            CommitEnd::Committed { .. } => "committed",
            CommitEnd::NotCommitted => "not_committed",
        };
        self.telemetry.log_event(event::COMMIT_END, json!({"step_id": &*self.step, "outcome": outcome}));
        let Some(log) = self.log.clone() else { return };
        if let Err(error) = blocking(move || log.ended(&record, &end)).await {
            tracing::warn!(step = &*self.step, %error, outcome, "the outcome of a commit could not be recorded");
        }
    }

    /// The same for every commit without an outcome.
    pub(crate) async fn end_all(&self, end: CommitEnd) {
        let open: Vec<usize> = {
            let state = self.state();
            state.commits.iter().enumerate().filter(|(_, begun)| begun.end.is_none()).map(|(index, _)| index).collect()
        };
        for index in open {
            self.end(index, end).await;
        }
    }

    /// The same for the commit with this number.
    pub(crate) async fn end_number(&self, number: u32, end: CommitEnd) {
        let index = self.state().commits.iter().position(|begun| begun.record.number == number);
        if let Some(index) = index {
            self.end(index, end).await;
        }
    }

    /// The counts of the step if the last commit that took place was its last; `written` are those of the component.
    pub(crate) fn counts(&self, written: Option<Written>) -> Option<StepCounts> {
        let state = self.state();
        let committed = |begun: &&Begun| matches!(begun.end, Some(CommitEnd::Committed { .. }));
        let record = &state.commits.iter().rev().find(committed)?.record;
        // A streamed input has been read by now.
        let read = state.input.as_ref().map(TableRef::rows);
        CommitRecord { read: record.read.or(read), ..CommitRecord::clone(record) }.counts(written)
    }

    /// Prevents further commits. Returns whether one has begun.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state();
        state.closed = true;
        !state.commits.is_empty()
    }

    fn is_open(&self) -> bool {
        self.state().commits.iter().any(|begun| begun.end.is_none())
    }

    /// Waits for `run`, for as long as a writer may take to finish its commit. `None` when that time is over.
    pub(crate) async fn wait_for<T>(
        &self,
        mut run: impl Future<Output = T> + Unpin,
        limits: CommitLimits,
    ) -> Option<T> {
        let mut changes = self.changes.subscribe();
        let answer = Instant::now() + limits.answer;
        let mut finishing = None;
        loop {
            changes.mark_unchanged();
            let until = if self.is_open() {
                answer
            } else {
                *finishing.get_or_insert_with(|| Instant::now() + limits.finishing)
            };
            tokio::select! {
                biased;
                done = &mut run => return Some(done),
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(until.into()) => return None,
            }
        }
    }

    /// The state of the commits now.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        if state.commits.is_empty() {
            return Standing::Untouched;
        }
        let open: Vec<_> = state.commits.iter().filter(|begun| begun.end.is_none()).collect();
        if !open.is_empty() {
            return Standing::Unknown(open.into_iter().map(|begun| Arc::clone(&begun.record)).collect());
        }
        let committed = state.commits.iter().rev().find_map(|begun| match begun.end {
            Some(CommitEnd::Committed { written }) => Some(written.or(begun.record.intent.written())),
            _ => None,
        });
        committed.map_or(Standing::NotCommitted, Standing::Committed)
    }

    /// Whether rows of a commit become visible before all of the input has been read.
    pub(crate) fn is_in_parts(&self) -> bool {
        self.state().commits.iter().any(|begun| begun.record.intent.is_in_parts())
    }

    /// Whether every commit that has begun can be repeated safely.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.state().commits.iter().all(|begun| begun.record.intent.is_repeatable())
    }

    /// The intent of the last commit.
    pub(crate) fn last_intent(&self) -> Option<Intent> {
        self.state().commits.last().map(|begun| begun.record.intent.clone())
    }
}

/// Whether the destination accounts for every row, where both sides are counted before the commit. Rows that become visible
/// in parts are not all counted by then.
fn balances(input: &TableRef, intent: &Intent, rejected: u64) -> Result<()> {
    let (Some(read), Some(written)) = (input.expected_rows(), intent.written()) else { return Ok(()) };
    let mut counts = StepCounts { read, rejected, ..StepCounts::default() };
    written.add_to(&mut counts);
    match counts.imbalance(Role::Write).filter(|_| !intent.is_in_parts()) {
        None => Ok(()),
        Some(difference) => Err(Error::integrity(format!("the ledger does not balance: {difference}"))
            .with_hint("nothing was written: run it again; if it fails again, report a bug")),
    }
}

fn stopped() -> Error {
    Error::cancelled("stopped before anything was committed")
}

async fn blocking(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::unknown("recording a commit ended in a panic").with_source(error))?
}

//! The limiter: who may send a request, and when.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::learned::Learned;
use super::limit::{Bucket, RateLimit};
use super::server_limits::ServerLimit;
use super::usage::Usage;
use crate::clock::Clock;
use crate::failure::MAX_RETRY_AFTER;

/// The pace of all requests that share a limit. Cheap to clone; clones are the same pace.
#[derive(Clone)]
pub struct Pace(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    limit: RateLimit,
    buckets: Vec<Bucket>,
    server: Vec<ServerLimit>,
    learned: Learned,
    not_before: Option<Instant>,
    in_flight: usize,
}

/// A request in flight. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Permit {
    pace: Pace,
    /// How long the request had to wait.
    pub(crate) waited: Duration,
}

impl Pace {
    /// A pace of its own, for tests: clients share theirs by identity.
    pub fn new(limit: &RateLimit, clock: Arc<dyn Clock>) -> Self {
        let pace = Self(Arc::new(Inner { clock, state: Mutex::default(), freed: Notify::new() }));
        pace.tighten(limit);
        pace
    }

    /// Takes a limit into account that the server reports in a body. Headers are read by the client.
    pub fn observe(&self, usage: &Usage) {
        let now = self.0.clock.now();
        let mut state = self.state();
        match state.server.iter_mut().find(|limit| limit.is_of(usage)) {
            Some(limit) => limit.update(usage, now),
            None => state.server.push(ServerLimit::new(usage, now)),
        }
    }

    /// The server has rejected a request for exceeding the rate limit.
    pub(crate) fn refused(&self, retry_after: Option<Duration>) {
        let now = self.0.clock.now();
        let retry_after = retry_after.map(|delay| delay.min(MAX_RETRY_AFTER));
        let mut state = self.state();
        let in_flight = state.in_flight;
        state.learned.refused(retry_after, in_flight, now);
        state.pause(now, retry_after);
    }

    /// The server asks to wait for another reason than the rate limit.
    pub(crate) fn pause(&self, delay: Duration) {
        let now = self.0.clock.now();
        self.state().pause(now, Some(delay));
    }

    /// A request was answered.
    pub(crate) fn accepted(&self) {
        let now = self.0.clock.now();
        self.state().learned.accepted(now);
    }

    /// Waits until a request of this cost may be sent.
    ///
    /// # Errors
    /// How long it would have to wait, when that is longer than `longest`.
    ///
    /// # Cancel safety
    /// If dropped, nothing of the limits is used.
    pub(crate) async fn admit(&self, cost: u32, longest: Duration) -> Result<Permit, Duration> {
        let started = self.0.clock.now();
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let now = self.0.clock.now();
            let turn = self.state().turn(now, cost);
            match turn {
                Turn::Now => return Ok(Permit { pace: self.clone(), waited: now.saturating_duration_since(started) }),
                Turn::AnotherEnds => freed.await,
                Turn::At(time) => {
                    let wait = time.saturating_duration_since(now);
                    if wait > longest {
                        return Err(wait);
                    }
                    self.0.clock.sleep(wait).await;
                }
            }
        }
    }

    /// Adds limits to those in force; of two for the same window the lower one counts.
    pub(super) fn tighten(&self, limit: &RateLimit) {
        let now = self.0.clock.now();
        let mut state = self.state();
        for &(requests, window) in &limit.windows {
            match state.limit.windows.iter().position(|(_, known)| *known == window) {
                None => {
                    state.limit.windows.push((requests, window));
                    state.buckets.push(Bucket::for_window(requests, window, now));
                }
                Some(index) if requests < state.limit.windows[index].0 => {
                    state.limit.windows[index].0 = requests;
                    state.buckets[index] = Bucket::for_window(requests, window, now);
                }
                Some(_) => {}
            }
        }
        state.limit.concurrent = match (state.limit.concurrent, limit.concurrent) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    #[cfg(test)]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Pace").field("limit", &state.limit).field("in_flight", &state.in_flight).finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        drop(state);
        // All of them: one that is woken may yet wait for another reason, or go away.
        self.pace.0.freed.notify_waiters();
    }
}

/// When a request may be sent.
enum Turn {
    Now,
    At(Instant),
    AnotherEnds,
}

impl State {
    fn pause(&mut self, now: Instant, delay: Option<Duration>) {
        let not_before = delay.map(|delay| now + delay.min(MAX_RETRY_AFTER));
        self.not_before = self.not_before.max(not_before);
    }

    /// When a request may be sent; counts it if that is now.
    fn turn(&mut self, now: Instant, cost: u32) -> Turn {
        let max = [self.limit.concurrent, self.learned.concurrent()].into_iter().flatten().min();
        if max.is_some_and(|max| self.in_flight >= max) {
            return Turn::AnotherEnds;
        }
        self.server.retain(|limit| !limit.is_over(now));
        let buckets = self.buckets.iter().chain(self.learned.bucket()).map(|bucket| bucket.ready_at(now, cost));
        let server = self.server.iter().map(|limit| limit.ready_at(now));
        let time = buckets.chain(server).chain(self.not_before).max().unwrap_or(now);
        if time > now {
            return Turn::At(time);
        }
        self.buckets.iter_mut().for_each(|bucket| bucket.take(now, cost));
        self.server.iter_mut().for_each(|limit| limit.take(now));
        self.learned.take(now, cost);
        self.in_flight += 1;
        Turn::Now
    }
}

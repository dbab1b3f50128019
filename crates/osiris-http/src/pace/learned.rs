//! Limits that are learned from 429 responses, where the server does not report them in advance.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::limit::Bucket;

/// How far back requests are counted.
const MEMORY: Duration = Duration::from_secs(60);
/// How many requests are remembered at most.
const MAX_SENT: usize = 10_000;
/// With fewer requests than this before a 429, others have used up the limit: no rate can be learned from it.
const ENOUGH: usize = 10;
/// What is kept of a rejected rate.
const CAUTION: f64 = 0.9;
/// The same, after a 429 without `Retry-After`.
const RETREAT: f64 = 0.5;
/// How much the rate grows in a minute.
const GROWTH: f64 = 0.02;
/// Never slower than this, in requests a second.
const SLOWEST: f64 = 1.0 / 60.0;

#[derive(Debug, Default)]
pub(super) struct Learned {
    sent: VecDeque<Instant>,
    bucket: Option<Bucket>,
    concurrent: Option<usize>,
    refused_at: Option<Instant>,
    grown_at: Option<Instant>,
}

impl Learned {
    pub(super) fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    pub(super) fn concurrent(&self) -> Option<usize> {
        self.concurrent
    }

    pub(super) fn take(&mut self, now: Instant, cost: u32) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now, cost);
        }
        while self.sent.len() >= MAX_SENT || self.sent.front().is_some_and(|first| now.duration_since(*first) > MEMORY)
        {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    pub(super) fn accepted(&mut self, now: Instant) {
        let Some(bucket) = &mut self.bucket else { return };
        let elapsed = now.saturating_duration_since(*self.grown_at.get_or_insert(now));
        if elapsed >= Duration::from_secs(1) {
            let rate = bucket.rate() * (1.0 + GROWTH * elapsed.as_secs_f64() / 60.0);
            bucket.set_rate(rate, now);
            self.grown_at = Some(now);
        }
    }

    pub(super) fn refused(&mut self, retry_after: Option<Duration>, in_flight: usize, now: Instant) {
        // Requests that were in flight together are rejected together: they count once.
        if self.refused_at.is_some_and(|at| now.saturating_duration_since(at) < Duration::from_secs(1)) {
            return;
        }
        self.refused_at = Some(now);
        if retry_after.is_none() && in_flight > 1 {
            self.concurrent = Some((in_flight / 2).max(1));
            return;
        }
        let measured = self.rate(retry_after, now);
        self.bucket = match self.bucket.take() {
            // The rate learned before was nearly right, or others now share the limit.
            Some(mut bucket) => {
                let less = if retry_after.is_some() { CAUTION } else { RETREAT };
                let rate = (bucket.rate() * less).max(SLOWEST);
                bucket.set_rate(rate, now);
                Some(bucket)
            }
            None => measured.map(|rate| Bucket::new(rate.max(SLOWEST), 1.0, now)),
        };
        self.grown_at = Some(now);
        self.sent.clear();
    }

    /// The rate to keep to: the requests that were accepted, over the time they took and the time until the server
    /// accepts requests again.
    fn rate(&self, retry_after: Option<Duration>, now: Instant) -> Option<f64> {
        let sent = self.sent.len();
        if sent < ENOUGH {
            return None;
        }
        let first = self.sent.front()?;
        let elapsed = now.saturating_duration_since(*first).max(Duration::from_secs(1));
        let sent = f64::from(u32::try_from(sent).unwrap_or(u32::MAX));
        Some(match retry_after {
            Some(wait) => CAUTION * sent / (elapsed + wait).as_secs_f64(),
            None => RETREAT * sent / elapsed.as_secs_f64(),
        })
    }
}

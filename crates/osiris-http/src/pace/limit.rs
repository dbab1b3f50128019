//! Limits that are known before the first request, and the token bucket that keeps each of them.
//!
//! The bucket is our own, a few lines: limits here change while they are in use (learned, tightened by another step),
//! which published crates do not support.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Configured limits: requests in a window of time, and concurrent requests. All of them apply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimit {
    pub(super) windows: Vec<(u32, Duration)>,
    pub(super) concurrent: Option<usize>,
}

impl RateLimit {
    /// No limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most `requests` in any minute.
    #[must_use]
    pub fn per_minute(self, requests: u32) -> Self {
        self.per(requests, MINUTE)
    }

    /// At most `requests` in any hour.
    #[must_use]
    pub fn per_hour(self, requests: u32) -> Self {
        self.per(requests, HOUR)
    }

    /// At most `requests` in any period as long as `window`; 0 counts as 1.
    #[must_use]
    pub fn per(mut self, requests: u32, window: Duration) -> Self {
        self.windows.push((requests.max(1), window));
        self
    }

    /// At most `requests` at the same time; 0 counts as 1.
    #[must_use]
    pub fn concurrent(mut self, requests: usize) -> Self {
        self.concurrent = Some(requests.max(1));
        self
    }
}

/// A token bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// Tokens a second.
    rate: f64,
    /// The most tokens it holds.
    burst: f64,
    tokens: f64,
    updated: Instant,
}

impl Bucket {
    /// A bucket that admits at most `requests` in any window: the burst, a tenth of them, is taken off the steady rate.
    /// A very small limit is spread evenly.
    pub(super) fn for_window(requests: u32, window: Duration, now: Instant) -> Self {
        let burst = (requests / 10).max(1);
        let steady = if requests < 10 { requests } else { requests - burst };
        Self::new(f64::from(steady) / window.as_secs_f64().max(0.001), f64::from(burst), now)
    }

    pub(super) fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { rate, burst, tokens: burst, updated: now }
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn set_rate(&mut self, rate: f64, now: Instant) {
        self.tokens = self.available(now);
        self.updated = now;
        self.rate = rate;
    }

    fn available(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.updated).as_secs_f64();
        (self.tokens + elapsed * self.rate).min(self.burst)
    }

    /// When a request of this cost may be sent. One that costs more than the bucket holds waits for a full one.
    pub(super) fn ready_at(&self, now: Instant, cost: u32) -> Instant {
        let missing = f64::from(cost).min(self.burst) - self.available(now);
        // Less than a nanosecond's worth is a rounding error.
        if missing <= 1e-9 { now } else { now + Duration::from_secs_f64(missing / self.rate) }
    }

    pub(super) fn take(&mut self, now: Instant, cost: u32) {
        self.tokens = self.available(now) - f64::from(cost);
        self.updated = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests as fast as the bucket allows, and the most that any window of them saw.
    fn busiest_window(requests: u32, window: Duration) -> usize {
        let start = Instant::now();
        let mut bucket = Bucket::for_window(requests, window, start);
        let mut now = start;
        let mut times = Vec::new();
        while now < start + window * 4 {
            now = bucket.ready_at(now, 1);
            bucket.take(now, 1);
            times.push(now);
        }
        (0..times.len()).map(|i| times[i..].iter().take_while(|t| **t < times[i] + window).count()).max().unwrap_or(0)
    }

    #[test]
    fn no_window_sees_more_than_the_limit_nor_much_less() {
        for requests in [1, 5, 9, 10, 25, 240, 2400] {
            let busiest = busiest_window(requests, MINUTE);
            let limit = usize::try_from(requests).unwrap();
            assert!(busiest <= limit, "{busiest} of {limit}");
            assert!(busiest * 10 >= limit * 9, "{busiest} of {limit}");
        }
    }

    #[test]
    fn an_expensive_request_waits_for_a_full_bucket_and_leaves_a_debt() {
        let now = Instant::now();
        let mut bucket = Bucket::new(1.0, 10.0, now);
        assert_eq!(bucket.ready_at(now, 100), now);
        bucket.take(now, 100);
        assert_eq!((bucket.ready_at(now, 1) - now).as_secs(), 91);
    }
}

//! When to try a step again, and how long to wait before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How the delay grows from one attempt to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// Doubles each time.
    Exponential,
    /// Grows by the initial delay each time.
    Linear,
    /// Stays.
    Fixed,
}

/// How often a step is tried and how long it waits in between. Only errors that are retryable are retried [DRV-017].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, 1 for none but the first. Default 3.
    pub max_attempts: u32,
    /// How the delay grows. Default exponential.
    pub backoff: Backoff,
    /// The first delay. Default 1 s.
    pub initial_delay: Duration,
    /// The longest one. Default 30 s.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::Exponential,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// One try and no more.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// How long to wait after try number `attempt` (from 1) ended in `error`; nothing when it must not be tried again.
    /// `jitter` in 0..1 spreads the delay over its upper half. A server's own delay counts in full.
    pub fn delay_after(&self, attempt: u32, error: &Error, jitter: f64) -> Option<Duration> {
        if attempt >= self.max_attempts || !error.is_retryable() {
            return None;
        }
        if let Some(delay) = error.retry_after() {
            return Some(delay);
        }
        let steps = attempt.saturating_sub(1);
        let delay = match self.backoff {
            Backoff::Exponential => self.initial_delay.saturating_mul(2u32.saturating_pow(steps.min(20))),
            Backoff::Linear => self.initial_delay.saturating_mul(attempt),
            Backoff::Fixed => self.initial_delay,
        };
        Some(delay.min(self.max_delay).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit() {
        let policy = RetryPolicy { max_attempts: 10, ..RetryPolicy::default() };
        let error = Error::network("gone");
        let delays: Vec<_> = (1..8).map(|n| policy.delay_after(n, &error, 1.0).unwrap().as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(policy.delay_after(1, &error, 0.0).unwrap().as_millis(), 500);
    }

    #[test]
    fn only_what_may_succeed_later_is_tried_again() {
        let policy = RetryPolicy::default();
        for error in [Error::auth("x"), Error::permission("x"), Error::validation("x"), Error::unknown("x")] {
            assert_eq!(policy.delay_after(1, &error, 0.5), None);
        }
        assert!(policy.delay_after(1, &Error::timeout("x"), 0.5).is_some());
        assert_eq!(policy.delay_after(1, &Error::network("x").with_retryable(false), 0.5), None);
        assert_eq!(policy.delay_after(3, &Error::network("x"), 0.5), None);
    }

    #[test]
    fn the_server_says_how_long() {
        let error = Error::network("429").with_retry_after(Duration::from_secs(77));
        assert_eq!(RetryPolicy::default().delay_after(1, &error, 0.1), Some(Duration::from_secs(77)));
    }
}

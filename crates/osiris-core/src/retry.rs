//! When to retry a step, and how long to wait before.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Datelike};
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

/// How often an action is tried, and the delays in between. Only retryable errors are retried [DRV-017].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The number of attempts, the first included. Default 3.
    pub max_attempts: u32,
    /// How the delay grows. Default exponential.
    pub backoff: Backoff,
    /// The first delay. Default 1 s.
    pub initial_delay: Duration,
    /// The longest one. Default 30 s.
    pub max_delay: Duration,
    /// How long retries go on after the first failure, whatever the number of attempts: the restart of a server takes
    /// about a minute. Default 90 s; zero if only the number of attempts counts.
    pub patience: Duration,
    /// The longest wait that a server may ask for; if it asks for more than this and [`max_delay`](Self::max_delay),
    /// there are no further attempts. Default 5 minutes.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::Exponential,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            patience: Duration::from_secs(90),
            longest_wait: Duration::from_secs(300),
        }
    }
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextTry {
    /// Another attempt, after this delay.
    After(Duration),
    /// No further attempt.
    Never,
    /// No further attempt, since the server asks for a longer wait than allowed. [`RetryPolicy::explained`] adds to the
    /// error when to retry.
    TooFarAway(Duration),
}

impl RetryPolicy {
    /// One attempt only.
    pub fn never() -> Self {
        Self::times(1)
    }

    /// This many attempts, however long they take.
    pub fn times(max_attempts: u32) -> Self {
        Self { max_attempts, patience: Duration::ZERO, ..Self::default() }
    }

    /// The longest delay, even if a server asks for more.
    pub fn longest_delay(&self) -> Duration {
        self.max_delay.max(self.longest_wait)
    }

    /// What follows attempt number `attempt` (from 1), which failed with `error`, `failing_for` after the first
    /// failure. `jitter` in 0..1 spreads the delay over its upper half. A delay given by the server is used in full, up
    /// to [`longest_delay`](Self::longest_delay).
    pub fn next_try(&self, attempt: u32, failing_for: Duration, error: &Error, jitter: f64) -> NextTry {
        if !error.is_retryable() {
            return NextTry::Never;
        }
        // Even where no try is left: the user has to know when one makes sense.
        if let Some(delay) = error.retry_after().filter(|delay| *delay > self.longest_delay()) {
            return NextTry::TooFarAway(delay);
        }
        let patient = failing_for < self.patience;
        let tried_below = !self.patience.is_zero() && error.retried_for().is_some_and(|time| time >= self.patience);
        if (attempt >= self.max_attempts && !patient) || tried_below {
            return NextTry::Never;
        }
        NextTry::After(error.retry_after().unwrap_or_else(|| self.backed_off(attempt, jitter)))
    }

    fn backed_off(&self, attempt: u32, jitter: f64) -> Duration {
        let steps = attempt.saturating_sub(1);
        let delay = match self.backoff {
            Backoff::Exponential => self.initial_delay.saturating_mul(2u32.saturating_pow(steps.min(20))),
            Backoff::Linear => self.initial_delay.saturating_mul(attempt),
            Backoff::Fixed => self.initial_delay,
        };
        delay.min(self.max_delay).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// Adds to `error` when to retry, if the server asks for `wait`. The error stays retryable.
    #[must_use]
    pub fn explained(&self, error: Error, wait: Duration, now: SystemTime) -> Error {
        const FACT: &str = "not tried again";
        if error.context().iter().any(|(key, _)| *key == FACT) {
            return error;
        }
        let longest = self.longest_delay().as_secs();
        let when = time_after(now, wait).map(|when| format!(", until {when}")).unwrap_or_default();
        let fact = format!(
            "the server asks for a wait of {} s{when}: a longer wait than is allowed ({longest} s)",
            wait.as_secs()
        );
        error.with_context(FACT, fact).with_hint(match time_after(now, wait) {
            Some(when) => format!("run again after {when}"),
            None => "contact the operator of the server: it asks for a wait beyond the year 9999".to_owned(),
        })
    }
}

/// The date and time, in UTC, `wait` after `now`; none beyond the year 9999.
fn time_after(now: SystemTime, wait: Duration) -> Option<String> {
    let seconds = now.checked_add(wait)?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let time = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?;
    (time.year() <= 9999).then(|| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    fn next(policy: &RetryPolicy, attempt: u32, error: &Error) -> NextTry {
        policy.next_try(attempt, AT_ONCE, error, 1.0)
    }

    #[test]
    fn delays_double_up_to_the_limit() {
        let policy = RetryPolicy::times(10);
        let error = Error::network("gone");
        let delay = |number, jitter| match policy.next_try(number, AT_ONCE, &error, jitter) {
            NextTry::After(delay) => delay,
            other => panic!("{other:?}"),
        };
        let delays: Vec<_> = (1..8).map(|number| delay(number, 1.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(delay(1, 0.0).as_millis(), 500);
    }

    #[test]
    fn only_what_may_succeed_later_is_tried_again() {
        let policy = RetryPolicy::times(3);
        for error in [Error::auth("x"), Error::permission("x"), Error::validation("x"), Error::unknown("x")] {
            assert_eq!(next(&policy, 1, &error), NextTry::Never);
        }
        assert!(matches!(next(&policy, 1, &Error::timeout("x")), NextTry::After(_)));
        assert_eq!(next(&policy, 1, &Error::network("x").with_retryable(false)), NextTry::Never);
        assert_eq!(next(&policy, 3, &Error::network("x")), NextTry::Never);
    }

    #[test]
    fn the_server_says_how_long() {
        let error = Error::network("429").with_retry_after(Duration::from_secs(77));
        assert_eq!(next(&RetryPolicy::default(), 1, &error), NextTry::After(Duration::from_secs(77)));
    }

    #[test]
    fn s46_a_wait_beyond_the_limits_ends_the_tries_and_says_when_to_come_back() {
        let year = Duration::from_secs(31_536_000);
        let policy = RetryPolicy::default();
        for wait in [Duration::from_secs(301), year, Duration::MAX] {
            for attempt in [1, 3, 100] {
                let error = Error::network("429").with_retry_after(wait);
                assert_eq!(next(&policy, attempt, &error), NextTry::TooFarAway(wait));
            }
        }
        let patient = RetryPolicy { max_delay: year, ..RetryPolicy::default() };
        let error = Error::network("429").with_retry_after(year);
        assert_eq!(next(&patient, 1, &error), NextTry::After(year));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let error = policy.explained(error, year, now);
        assert!(error.is_retryable(), "a later run may succeed: exit code 4");
        assert_eq!(error.hint(), Some("run again after 2024-11-13 22:13 UTC"));
        assert!(error.report().contains("31536000 s"), "{error:?}");
        let never = policy.explained(Error::network("429"), Duration::MAX, now);
        assert!(never.hint().unwrap().contains("year 9999"), "{never:?}");
    }

    #[test]
    fn s64_a_server_that_is_away_for_a_minute_is_tried_again_by_default() {
        for jitter in [0.0, 0.5, 1.0] {
            let (policy, error) = (RetryPolicy::default(), Error::network("the connection was refused"));
            let (mut attempt, mut failing_for) = (1, Duration::ZERO);
            while let NextTry::After(delay) = policy.next_try(attempt, failing_for, &error, jitter) {
                (attempt, failing_for) = (attempt + 1, failing_for + delay);
            }
            assert!(failing_for >= Duration::from_secs(60), "{jitter}: {failing_for:?} in {attempt} tries");
            assert!(failing_for <= Duration::from_secs(150), "{jitter}: {failing_for:?}");
        }
        // A number that the user gives is kept to.
        let error = Error::network("x");
        assert_eq!(next(&RetryPolicy::times(2), 2, &error), NextTry::Never);
    }

    #[test]
    fn what_a_layer_below_has_tried_for_as_long_is_not_tried_again_above() {
        let error = |seconds| Error::network("x").with_retried_for(Duration::from_secs(seconds));
        assert_eq!(next(&RetryPolicy::default(), 1, &error(95)), NextTry::Never);
        assert!(matches!(next(&RetryPolicy::default(), 1, &error(10)), NextTry::After(_)));
        assert!(matches!(next(&RetryPolicy::times(3), 1, &error(95)), NextTry::After(_)));
    }
}

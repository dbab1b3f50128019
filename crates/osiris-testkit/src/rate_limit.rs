//! The rate limit of a test's server: it decides which requests are refused, and keeps how well they kept to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much earlier a request may come than it should: clocks and timers are not exact.
const TOLERANCE: Duration = Duration::from_millis(50);
/// The time to the reset that [`RateLimit::headers`] announce.
const RESET: Duration = Duration::from_secs(1);
/// Headers that say that 90% of a limit are used.
const NEARLY_USED: [(&str, &str); 3] =
    [("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "1")];

/// A rate limit that the suite makes and a subject's server keeps to. Clones share it.
#[derive(Debug, Clone)]
pub struct RateLimit {
    kind: Kind,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The first request is refused, with this wait.
    RefusesTheFirst(Duration),
    /// Every response says that the limit is nearly used.
    IsNearlyUsed,
}

#[derive(Debug, Default)]
struct State {
    admitted: u64,
    refused: u64,
    /// When the next request may come.
    open_at: Option<Instant>,
}

impl RateLimit {
    /// A server that refuses the first request, and every one that comes before `wait` is over.
    pub(crate) fn refusing_the_first(wait: Duration) -> Self {
        Self { kind: Kind::RefusesTheFirst(wait), state: Arc::default() }
    }

    /// A server whose limit is nearly used, and which refuses a request that comes before the reset once it has said so.
    pub(crate) fn nearly_used() -> Self {
        Self { kind: Kind::IsNearlyUsed, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request that comes now is handled. To be called once for each request, when it comes.
    ///
    /// # Errors
    /// The value of `retry-after`, if the request is to be refused with 429.
    pub fn admit(&self) -> Result<(), Duration> {
        let mut state = self.state();
        let now = Instant::now();
        let is_early = state.open_at.is_some_and(|at| now + TOLERANCE < at);
        let (refused, wait) = match self.kind {
            Kind::RefusesTheFirst(wait) => (state.open_at.is_none() || is_early, wait),
            Kind::IsNearlyUsed => (is_early, RESET),
        };
        match self.kind {
            Kind::RefusesTheFirst(wait) => state.open_at = state.open_at.or(Some(now + wait)),
            Kind::IsNearlyUsed if refused => state.open_at = Some(now + RESET),
            Kind::IsNearlyUsed => {}
        }
        if refused {
            state.refused += 1;
            return Err(wait);
        }
        state.admitted += 1;
        Ok(())
    }

    /// The headers of a response to a request that was handled: names and values. Empty for a limit that is not announced.
    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.kind {
            Kind::RefusesTheFirst(_) => &[],
            Kind::IsNearlyUsed => {
                // The time to the reset counts from here: the client may have waited long for this response.
                self.state().open_at = Some(Instant::now() + RESET);
                &NEARLY_USED
            }
        }
    }

    /// Either refuses a request or lets `reply` be the response, with the [`headers`](Self::headers).
    #[cfg(feature = "http-server")]
    pub async fn answer(&self, reply: impl Future<Output = crate::http_server::Reply>) -> crate::http_server::Reply {
        match self.admit() {
            Ok(()) => {
                let reply = reply.await;
                self.headers().iter().fold(reply, |reply, (name, value)| reply.header(name, value))
            }
            Err(wait) => crate::http_server::Reply::new(429).header("retry-after", &wait.as_secs().to_string()),
        }
    }

    /// How many requests were handled.
    pub(crate) fn admitted(&self) -> u64 {
        self.state().admitted
    }

    /// How many requests were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.state().refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_and_those_that_come_too_early_are_refused() {
        let wait = Duration::from_millis(300);
        let limit = RateLimit::refusing_the_first(wait);
        assert_eq!((limit.admit(), limit.admit()), (Err(wait), Err(wait)));
        std::thread::sleep(wait);
        assert_eq!((limit.admit(), limit.admit()), (Ok(()), Ok(())));
        assert_eq!((limit.refused(), limit.admitted(), limit.headers().len()), (2, 2, 0));
    }

    #[test]
    fn the_time_to_the_reset_counts_from_the_response() {
        let limit = RateLimit::nearly_used();
        assert_eq!(limit.admit(), Ok(()));
        std::thread::sleep(RESET / 2);
        limit.headers();
        std::thread::sleep(RESET / 2 + TOLERANCE);
        assert_eq!(limit.admit(), Err(RESET), "half of the time was spent on the response");
    }

    #[test]
    fn a_client_that_was_told_of_the_limit_has_to_wait() {
        let limit = RateLimit::nearly_used();
        assert_eq!((limit.admit(), limit.admit()), (Ok(()), Ok(())), "nobody has been told");
        assert_eq!(limit.headers().len(), 3);
        assert_eq!(limit.admit(), Err(RESET));
        std::thread::sleep(RESET);
        assert_eq!(limit.admit(), Ok(()));
        assert_eq!((limit.refused(), limit.admitted()), (1, 3));
    }
}

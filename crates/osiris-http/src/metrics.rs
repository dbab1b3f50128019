//! The request counts of a step. Reported once, when the last client of the step is dropped: after success, failure and
//! cancellation alike.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use osiris_core::{ExecutionContext, Unit, metric};
use serde_json::Value;

/// Requests that were sent again.
pub const REQUESTS_REPEATED: &str = "requests_repeated";
/// Time spent waiting because of rate limits: reported by the server, set by the connection, or learned.
pub const RATE_LIMIT_WAIT_MS: &str = "rate_limit_wait_ms";

#[derive(Default)]
pub(crate) struct RequestMetrics {
    requests: AtomicU64,
    repeated: AtomicU64,
    bytes: AtomicU64,
    waited_ms: AtomicU64,
    step: Option<ExecutionContext>,
}

impl RequestMetrics {
    pub(crate) fn of(ctx: &ExecutionContext) -> Self {
        let zero = AtomicU64::default;
        Self { requests: zero(), repeated: zero(), bytes: zero(), waited_ms: zero(), step: Some(ctx.clone()) }
    }

    pub(crate) fn sent(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn repeated(&self) {
        self.repeated.fetch_add(1, Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn waited(&self, wait: Duration) {
        self.waited_ms.fetch_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn usage(&self) -> RequestCounts {
        RequestCounts {
            requests: self.requests.load(Relaxed),
            repeated: self.repeated.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            rate_limit_wait: Duration::from_millis(self.waited_ms.load(Relaxed)),
        }
    }
}

impl Drop for RequestMetrics {
    fn drop(&mut self) {
        let counts = self.usage();
        let Some(ctx) = self.step.take().filter(|_| counts.requests > 0) else { return };
        ctx.log_metric(metric::REQUESTS_MADE, counts.requests, Unit::Calls, Value::Null);
        ctx.log_metric(metric::BYTES_READ, counts.bytes, Unit::Bytes, Value::Null);
        if counts.repeated > 0 {
            ctx.log_metric(REQUESTS_REPEATED, counts.repeated, Unit::Calls, Value::Null);
        }
        let waited = u64::try_from(counts.rate_limit_wait.as_millis()).unwrap_or(u64::MAX);
        if waited > 0 {
            ctx.log_metric(RATE_LIMIT_WAIT_MS, waited, Unit::Milliseconds, Value::Null);
        }
    }
}

/// The counts of a client's requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestCounts {
    /// Requests sent, including repetitions and redirects.
    pub requests: u64,
    /// Repetitions among them.
    pub repeated: u64,
    /// Bytes of bodies received, after decompression.
    pub bytes: u64,
    /// Time spent waiting because of rate limits.
    pub rate_limit_wait: Duration,
}

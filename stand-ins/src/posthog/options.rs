//! The options of a stand-in: its key, its project, its limits.

use std::time::Duration;

use osiris_testkit::RateLimit;

/// The options of a [`PostHog`](super::PostHog).
#[derive(Debug, Clone)]
pub struct PostHogOptions {
    pub(super) key: String,
    pub(super) project: u64,
    pub(super) windows: Vec<(usize, Duration)>,
    pub(super) execution_limit: Option<u64>,
    pub(super) largest_page: Option<u64>,
    pub(super) offset: i32,
    pub(super) limit: Option<RateLimit>,
}

impl Default for PostHogOptions {
    /// Project 42, the key `phx_test`, UTC, no rate limit, no execution limit.
    fn default() -> Self {
        Self {
            key: "phx_test".to_owned(),
            project: 42,
            windows: Vec::new(),
            execution_limit: None,
            largest_page: None,
            offset: 0,
            limit: None,
        }
    }
}

impl PostHogOptions {
    /// The rate limits of PostHog Cloud: 240 a minute, 2400 an hour.
    #[must_use]
    pub fn with_cloud_limits(self) -> Self {
        self.with_limit(240, Duration::from_secs(60)).with_limit(2400, Duration::from_secs(3600))
    }

    /// At most so many requests in any period as long as `window`.
    #[must_use]
    pub fn with_limit(mut self, requests: usize, window: Duration) -> Self {
        self.windows.push((requests, window));
        self
    }

    /// A query that has to look at more rows than this takes too long.
    #[must_use]
    pub fn with_execution_limit(mut self, rows: u64) -> Self {
        self.execution_limit = Some(rows);
        self
    }

    /// A query that asks for more rows than this takes too long.
    #[must_use]
    pub fn with_largest_page(mut self, rows: u64) -> Self {
        self.largest_page = Some(rows);
        self
    }

    /// The project's time zone, in seconds east of Greenwich.
    #[must_use]
    pub fn with_time_zone(mut self, offset: i32) -> Self {
        self.offset = offset;
        self
    }

    /// Refuses the requests that `limit` refuses, with 429, and reports the limit in headers, as gateways in front of PostHog do.
    #[must_use]
    pub fn limited_by(mut self, limit: &RateLimit) -> Self {
        self.limit = Some(limit.clone());
        self
    }
}

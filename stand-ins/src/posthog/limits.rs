//! PostHog's rate limits and its limit of concurrent queries for a team.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Concurrent queries of a whole team.
const CONCURRENT: usize = 3;

/// The limits, and what has been used of them.
pub(super) struct Limits {
    windows: Vec<(usize, Duration)>,
    asked: Mutex<VecDeque<Instant>>,
    running: Arc<AtomicUsize>,
}

/// A query that runs.
pub(super) struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Limits {
    pub(super) fn new(windows: Vec<(usize, Duration)>) -> Self {
        Self { windows, asked: Mutex::default(), running: Arc::default() }
    }

    /// Counts a request; an error is the time until one is allowed.
    pub(super) fn ask(&self) -> Result<(), Duration> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let longest = self.windows.iter().map(|(_, window)| *window).max().unwrap_or_default();
        while asked.front().is_some_and(|at| now.duration_since(*at) > longest) {
            asked.pop_front();
        }
        for (requests, window) in &self.windows {
            let inside = asked.iter().filter(|at| now.duration_since(**at) <= *window).count();
            if let (true, Some(first)) = (inside >= *requests, asked.get(asked.len() - inside)) {
                return Err(window.saturating_sub(now.duration_since(*first)));
            }
        }
        asked.push_back(now);
        Ok(())
    }

    /// Starts a query; `None` when there are too many.
    pub(super) fn run(&self) -> Option<Running> {
        let running = Running(Arc::clone(&self.running));
        (self.running.fetch_add(1, Ordering::AcqRel) < CONCURRENT).then_some(running)
    }
}

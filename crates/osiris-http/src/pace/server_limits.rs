//! A limit that the server reports: no delay up to 80%, requests spread from there on, none when only the share of the
//! others is left.

use std::time::{Duration, Instant};

use super::usage::Usage;
use crate::failure::MAX_RETRY_AFTER;

/// From here on the pace drops.
const NEARLY_USED: f64 = 0.8;
/// What is left to others who share the limit, as a part of it.
const LEFT_TO_OTHERS: f64 = 0.1;
/// The time to the reset, when the server does not say it.
const USUAL_WINDOW: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct ServerLimit {
    name: String,
    reset: Instant,
    spread: Spread,
    last: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Spread {
    Free,
    Apart(Duration),
    Shut,
}

impl ServerLimit {
    pub(super) fn new(usage: &Usage, now: Instant) -> Self {
        let mut limit = Self { name: usage.name.clone(), reset: now, spread: Spread::Free, last: Some(now) };
        limit.update(usage, now);
        limit
    }

    pub(super) fn is_of(&self, usage: &Usage) -> bool {
        self.name == usage.name
    }

    pub(super) fn update(&mut self, usage: &Usage, now: Instant) {
        let left = usage.reset.unwrap_or(USUAL_WINDOW).min(MAX_RETRY_AFTER);
        self.reset = now + left;
        // Without the limit itself, only its exhaustion can be seen.
        let (nearly, reserve) = match usage.limit {
            Some(limit) if limit > 0.0 => {
                (limit - usage.remaining >= limit * NEARLY_USED, (limit * LEFT_TO_OTHERS).floor())
            }
            _ => (usage.remaining < 1.0, 0.0),
        };
        let ours = usage.remaining - reserve;
        self.spread = match (nearly, ours < 1.0) {
            (false, _) => Spread::Free,
            (true, true) => Spread::Shut,
            (true, false) => Spread::Apart(left.div_f64(ours)),
        };
    }

    /// Whether its window has passed.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.reset
    }

    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        match (self.spread, self.last) {
            (Spread::Shut, _) => self.reset,
            (Spread::Apart(gap), Some(last)) => (last + gap).min(self.reset),
            _ => now,
        }
    }

    pub(super) fn take(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

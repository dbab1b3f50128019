//! One pace for all who share a server's limit: each step of a run has a client of its own, but not a limit of its own.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::limit::RateLimit;
use super::limiter::Pace;
use crate::clock::SystemClock;

/// How long an unused pace is kept: long enough for the next step of the run.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Paces by identity, with the time of their last use.
type Paces = HashMap<[u8; 32], (Pace, Instant)>;

static PACES: LazyLock<Mutex<Paces>> = LazyLock::new(Mutex::default);

impl Pace {
    /// The pace of this identity, with `limit` added to the limits that others have set for it.
    pub(crate) fn shared(identity: [u8; 32], limit: &RateLimit) -> Self {
        pace(identity, limit)
    }
}

fn pace(identity: [u8; 32], limit: &RateLimit) -> Pace {
    let now = Instant::now();
    let mut paces = PACES.lock().unwrap_or_else(PoisonError::into_inner);
    paces.retain(|_, (pace, used)| {
        if pace.is_shared() {
            *used = now;
        }
        now.duration_since(*used) < REMEMBERED
    });
    let (pace, used) =
        paces.entry(identity).or_insert_with(|| (Pace::new(&RateLimit::new(), Arc::new(SystemClock)), now));
    *used = now;
    pace.tighten(limit);
    pace.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_identity_has_one_pace_and_another_one_its_own() {
        let limit = RateLimit::new();
        let (a, b, other) = (pace([1; 32], &limit), pace([1; 32], &limit), pace([2; 32], &limit));
        assert!(a.is_same(&b));
        assert!(!a.is_same(&other));
    }
}

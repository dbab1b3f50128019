//! The pace against simulated servers, on a simulated clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;

use super::{Pace, RateLimit, Usage};
use crate::clock::{Clock as _, SimulatedClock};

const MAX_WAIT: Duration = Duration::from_secs(600);

fn pace(limit: &RateLimit) -> (Pace, SimulatedClock) {
    let clock = SimulatedClock::default();
    (Pace::new(limit, Arc::new(clock.clone())), clock)
}

fn usage(limit: f64, remaining: f64, reset: u64) -> Usage {
    Usage::new(limit, remaining, Some(Duration::from_secs(reset)))
}

/// A server with a fixed window: so many requests in each, 429 with the time to its end beyond that.
struct Window {
    limit: usize,
    length: Duration,
    started: Option<Instant>,
    seen: usize,
    refused: usize,
}

impl Window {
    fn new(limit: usize, length: Duration) -> Self {
        Self { limit, length, started: None, seen: 0, refused: 0 }
    }

    /// The requests left, or the time to wait.
    fn request(&mut self, now: Instant) -> Result<usize, Duration> {
        if self.started.is_none_or(|started| now >= started + self.length) {
            self.started = Some(now);
            self.seen = 0;
        }
        let reset = self.started.map_or(Duration::ZERO, |started| started + self.length - now);
        if self.seen == self.limit {
            self.refused += 1;
            return Err(reset);
        }
        self.seen += 1;
        Ok(self.limit - self.seen)
    }
}

#[tokio::test]
async fn nothing_slows_down_below_four_fifths_of_a_limit() {
    let (pace, clock) = pace(&RateLimit::new());
    for remaining in [100, 60, 21] {
        pace.observe(&usage(100.0, f64::from(remaining), 60));
        drop(pace.admit(1, MAX_WAIT).await.unwrap());
    }
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn from_four_fifths_on_requests_are_spread_and_the_last_tenth_is_left() {
    let (pace, clock) = pace(&RateLimit::new());
    pace.observe(&usage(100.0, 20.0, 60));
    drop(pace.admit(1, MAX_WAIT).await.unwrap());
    assert_eq!(clock.elapsed(), Duration::from_secs(6), "ten requests in the minute that is left");
    pace.observe(&usage(100.0, 10.0, 30));
    drop(pace.admit(1, MAX_WAIT).await.unwrap());
    assert_eq!(clock.elapsed(), Duration::from_secs(36), "the reset is waited for");
}

#[tokio::test]
async fn a_limit_that_has_reset_is_forgotten() {
    let (pace, clock) = pace(&RateLimit::new());
    pace.observe(&usage(10.0, 0.0, 5));
    clock.advance(Duration::from_secs(5));
    drop(pace.admit(1, MAX_WAIT).await.unwrap());
    assert_eq!(clock.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_tells_its_limit_never_has_to_refuse() {
    let (pace, clock) = pace(&RateLimit::new());
    let mut server = Window::new(50, Duration::from_secs(60));
    for _ in 0..500 {
        let permit = pace.admit(1, MAX_WAIT).await.unwrap();
        let left = server.request(clock.now()).expect("a refusal");
        let reset = server.started.unwrap() + server.length - clock.now();
        pace.observe(&Usage::new(50.0, f64::from(u32::try_from(left).unwrap()), Some(reset)));
        drop(permit);
    }
    assert!(clock.elapsed() < Duration::from_secs(60 * 12), "{:?} for ten windows' worth", clock.elapsed());
}

#[tokio::test]
async fn a_server_that_only_refuses_is_learned_from() {
    let (pace, clock) = pace(&RateLimit::new());
    let mut server = Window::new(240, Duration::from_secs(60));
    let mut done = 0;
    while done < 2400 {
        let permit = pace.admit(1, MAX_WAIT).await.unwrap();
        clock.advance(Duration::from_millis(20));
        match server.request(clock.now()) {
            Ok(_) => {
                pace.accepted();
                done += 1;
            }
            Err(wait) => pace.refused(Some(wait)),
        }
        drop(permit);
    }
    assert!(server.refused <= 3, "{} refusals", server.refused);
    assert!(clock.elapsed() < Duration::from_secs(60 * 14), "{:?} for ten minutes' worth", clock.elapsed());
}

#[tokio::test]
async fn everybody_waits_as_long_as_the_server_says() {
    let (pace, clock) = pace(&RateLimit::new());
    pace.clone().refused(Some(Duration::from_secs(60)));
    let permit = pace.admit(1, MAX_WAIT).await.unwrap();
    assert_eq!(clock.elapsed(), Duration::from_secs(60));
    assert_eq!(permit.waited, Duration::from_secs(60));
}

#[tokio::test]
async fn a_wait_beyond_the_longest_is_refused_at_once() {
    let (pace, clock) = pace(&RateLimit::new());
    pace.refused(Some(Duration::from_secs(3600)));
    assert_eq!(pace.admit(1, MAX_WAIT).await.unwrap_err(), Duration::from_secs(3600));
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn only_so_many_requests_are_under_way_at_once() {
    let (pace, _) = pace(&RateLimit::new().concurrent(2));
    let (first, _second) = (pace.admit(1, MAX_WAIT).await.unwrap(), pace.admit(1, MAX_WAIT).await.unwrap());
    let third = pace.admit(1, MAX_WAIT);
    tokio::pin!(third);
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    assert!(third.await.is_ok());
}

#[tokio::test]
async fn a_refusal_without_a_time_lowers_how_many_go_at_once() {
    let (pace, _) = pace(&RateLimit::new());
    let mut permits = Vec::new();
    for _ in 0..4 {
        permits.push(pace.admit(1, MAX_WAIT).await.unwrap());
    }
    pace.refused(None);
    permits.truncate(2);
    let next = pace.admit(1, MAX_WAIT);
    tokio::pin!(next);
    assert!(next.as_mut().now_or_never().is_none(), "two are still under way");
    permits.truncate(1);
    assert!(next.await.is_ok());
}

#[tokio::test]
async fn of_two_steps_limits_for_one_window_the_lower_counts() {
    let (pace, clock) = pace(&RateLimit::new().per_minute(6000));
    pace.tighten(&RateLimit::new().per_minute(6));
    for _ in 0..3 {
        drop(pace.admit(1, MAX_WAIT).await.unwrap());
    }
    assert_eq!(clock.elapsed().as_secs(), 20);
}

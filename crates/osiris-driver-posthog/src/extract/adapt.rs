//! How much is asked for at once: less after a query that PostHog stopped, more again when queries go well.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::Moment;

/// A page is never made smaller than this, a stretch of time never shorter than this many microseconds.
const SMALLEST_PAGE: i64 = 10;
const SHORTEST_STRETCH: i64 = 1000;
/// After so many queries that went well more is asked for, and after this many even as much as was too much before.
const WELL: u32 = 4;
const WELL_AGAIN: u32 = 32;

/// Shared by all who read for one step: what one of them learns, the others know.
#[derive(Debug)]
pub(super) struct Adapt(Mutex<Sizes>);

#[derive(Debug)]
struct Sizes {
    /// Rows.
    page: Size,
    /// Microseconds.
    stretch: Size,
    stopped: u32,
}

/// A size that has an upper bound.
#[derive(Debug)]
struct Size {
    now: i64,
    most: i64,
    least: i64,
    /// What was too much.
    too_much: i64,
    well: u32,
}

impl Size {
    fn new(most: i64, least: i64) -> Self {
        Self { now: most, most, least: least.min(most), too_much: i64::MAX, well: 0 }
    }

    /// Half of what was asked, and whether that is less.
    fn shrink(&mut self, asked: i64) -> bool {
        let half = (asked / 2).max(self.least);
        self.well = 0;
        self.too_much = self.too_much.min(asked);
        self.now = self.now.min(half);
        half < asked
    }

    fn went_well(&mut self) {
        self.well += 1;
        let twice = self.now.saturating_mul(2);
        if self.well >= WELL_AGAIN || (self.well >= WELL && twice < self.too_much) {
            if twice >= self.too_much {
                self.too_much = i64::MAX;
            }
            self.now = twice.min(self.most);
            self.well = 0;
        }
    }
}

impl Adapt {
    pub(super) fn new(page: u32) -> Self {
        let page = Size::new(page.into(), SMALLEST_PAGE);
        Self(Mutex::new(Sizes { page, stretch: Size::new(i64::MAX, SHORTEST_STRETCH), stopped: 0 }))
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows to ask for.
    pub(super) fn page(&self) -> u32 {
        u32::try_from(self.sizes().page.now).unwrap_or(u32::MAX)
    }

    /// The end of the stretch that begins at `from`, if it has to end before `to`.
    pub(super) fn end(&self, from: Moment, to: Moment) -> Option<Moment> {
        let end = from.micros().saturating_add(self.sizes().stretch.now);
        (end < to.micros()).then(|| Moment::from_micros(end))
    }

    /// A query over `from..to` was stopped. Says whether a smaller one can be asked: a shorter stretch and a smaller page by turns, since
    /// nobody says which of them was too much.
    pub(super) fn shrink(&self, asked: u32, from: Option<Moment>, to: Option<Moment>) -> bool {
        let mut sizes = self.sizes();
        sizes.stopped += 1;
        let length = from.zip(to).map(|(from, to)| to.micros().saturating_sub(from.micros()));
        let page_first = sizes.stopped.is_multiple_of(2);
        if page_first && sizes.page.shrink(asked.into()) {
            return true;
        }
        length.is_some_and(|length| sizes.stretch.shrink(length)) || sizes.page.shrink(asked.into())
    }

    /// A page came.
    pub(super) fn page_came(&self) {
        self.sizes().page.went_well();
    }

    /// A stretch was read to its end.
    pub(super) fn stretch_ended(&self) {
        self.sizes().stretch.went_well();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn what_was_stopped_is_asked_for_in_halves_and_grows_again() {
        let adapt = Adapt::new(1000);
        let (from, to) = (Moment::from_micros(0), Moment::from_micros(HOUR));
        assert_eq!((adapt.page(), adapt.end(from, to)), (1000, None));
        assert!(adapt.shrink(1000, Some(from), Some(to)));
        assert_eq!((adapt.page(), adapt.end(from, to)), (1000, Some(Moment::from_micros(HOUR / 2))));
        assert!(adapt.shrink(1000, Some(from), Some(Moment::from_micros(HOUR / 2))));
        assert_eq!((adapt.page(), adapt.end(from, to)), (500, Some(Moment::from_micros(HOUR / 2))));
        // Not at once as much as was too much.
        (0..WELL).for_each(|_| adapt.page_came());
        assert_eq!(adapt.page(), 500);
        (WELL..WELL_AGAIN).for_each(|_| adapt.page_came());
        (0..WELL_AGAIN).for_each(|_| adapt.stretch_ended());
        assert_eq!((adapt.page(), adapt.end(from, to)), (1000, None));
    }

    #[test]
    fn there_is_an_end_to_making_things_smaller() {
        let adapt = Adapt::new(100);
        let from = Moment::from_micros(0);
        let (mut steps, mut to) = (0, Moment::from_micros(30 * 24 * HOUR));
        while adapt.shrink(adapt.page(), Some(from), Some(to)) {
            to = adapt.end(from, to).unwrap_or(to);
            steps += 1;
            assert!(steps < 64);
        }
        assert_eq!(adapt.page(), 10);
        assert!(!Adapt::new(5).shrink(5, None, None));
    }
}

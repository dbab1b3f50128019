//! How much a query requests: the rows of a page, and the length of a time window. Less after a query that PostHog
//! stopped, more again when queries succeed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use osiris_http::pages::AdaptiveSize;

use crate::config::Timestamp;

/// A page is never made smaller than this many rows, a window never shorter than this many microseconds.
const MIN_PAGE: u64 = 10;
const MIN_WINDOW: u64 = 1000;

/// The bounds of all queries of a step: what one reader learns applies to the others.
#[derive(Debug)]
pub(super) struct QueryBounds(Mutex<Sizes>);

#[derive(Debug)]
struct Sizes {
    /// Rows.
    page: AdaptiveSize,
    /// Microseconds.
    window: AdaptiveSize,
    stopped: u32,
}

impl QueryBounds {
    pub(super) fn new(page: u32) -> Self {
        let page = AdaptiveSize::new(page.into()).with_min(MIN_PAGE);
        let window = AdaptiveSize::new(i64::MAX.unsigned_abs()).with_min(MIN_WINDOW);
        Self(Mutex::new(Sizes { page, window, stopped: 0 }))
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows to request.
    pub(super) fn page(&self) -> u32 {
        u32::try_from(self.sizes().page.current()).unwrap_or(u32::MAX)
    }

    /// The end of the window that begins at `from`, if it has to end before `to`.
    pub(super) fn end(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let end = from.micros().saturating_add_unsigned(self.sizes().window.current());
        (end < to.micros()).then(|| Timestamp::from_micros(end))
    }

    /// A query over `from..to` was stopped. Returns whether a smaller one is possible. The window and the page shrink
    /// by turns, since PostHog does not say which of them was too large.
    pub(super) fn shrink(&self, asked: u32, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
        let mut sizes = self.sizes();
        sizes.stopped += 1;
        let length = from.zip(to).map(|(from, to)| to.micros().saturating_sub(from.micros()).max(0).unsigned_abs());
        let page_first = sizes.stopped.is_multiple_of(2);
        if page_first && sizes.page.shrink(asked.into()) {
            return true;
        }
        length.is_some_and(|length| sizes.window.shrink(length)) || sizes.page.shrink(asked.into())
    }

    /// A page was read.
    pub(super) fn page_read(&self) {
        self.sizes().page.succeed();
    }

    /// A window was read to its end.
    pub(super) fn window_read(&self) {
        self.sizes().window.succeed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn what_was_stopped_is_asked_for_in_halves_and_grows_again() {
        let bounds = QueryBounds::new(1000);
        let (from, to) = (Timestamp::from_micros(0), Timestamp::from_micros(HOUR));
        assert_eq!((bounds.page(), bounds.end(from, to)), (1000, None));
        assert!(bounds.shrink(1000, Some(from), Some(to)));
        assert_eq!((bounds.page(), bounds.end(from, to)), (1000, Some(Timestamp::from_micros(HOUR / 2))));
        assert!(bounds.shrink(1000, Some(from), Some(Timestamp::from_micros(HOUR / 2))));
        assert_eq!((bounds.page(), bounds.end(from, to)), (500, Some(Timestamp::from_micros(HOUR / 2))));
        // Not at once the size that was too large.
        (0..4).for_each(|_| bounds.page_read());
        assert_eq!(bounds.page(), 500);
        (4..32).for_each(|_| bounds.page_read());
        (0..32).for_each(|_| bounds.window_read());
        assert_eq!((bounds.page(), bounds.end(from, to)), (1000, None));
    }

    #[test]
    fn there_is_an_end_to_making_things_smaller() {
        let bounds = QueryBounds::new(100);
        let from = Timestamp::from_micros(0);
        let (mut steps, mut to) = (0, Timestamp::from_micros(30 * 24 * HOUR));
        while bounds.shrink(bounds.page(), Some(from), Some(to)) {
            to = bounds.end(from, to).unwrap_or(to);
            steps += 1;
            assert!(steps < 64);
        }
        assert_eq!(bounds.page(), 10);
        assert!(!QueryBounds::new(5).shrink(5, None, None));
    }
}

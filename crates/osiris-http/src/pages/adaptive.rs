//! How much is requested at once: half after a request that was too large, more again when requests succeed.

/// After so many requests that succeeded the size doubles, as long as it stays below the one that was refused.
const GROW_AFTER: u32 = 4;
/// After so many it grows even to the size that was refused: the server may have been busy only for a while.
const GROW_TO_REFUSED_AFTER: u32 = 32;

/// A size between bounds: rows of a page, or a range of time. It halves when the server refuses it, and doubles when requests
/// succeed: soon below the last refused size, later up to it.
#[derive(Debug, Clone)]
pub struct AdaptiveSize {
    current: u64,
    max: u64,
    min: u64,
    /// The smallest size that was refused.
    refused: u64,
    /// Requests that succeeded since the size changed.
    succeeded: u32,
}

impl AdaptiveSize {
    /// Begins at `max`, which is never exceeded. At least 1.
    pub fn new(max: u64) -> Self {
        let max = max.max(1);
        Self { current: max, max, min: 1, refused: u64::MAX, succeeded: 0 }
    }

    /// The smallest size. Default: 1.
    #[must_use]
    pub fn with_min(mut self, min: u64) -> Self {
        self.min = min.clamp(1, self.max);
        self
    }

    /// The size of the next request.
    pub fn current(&self) -> u64 {
        self.current
    }

    /// A request for `asked` was too large: the next one is for half of it. `false` if the size cannot shrink any
    /// further.
    pub fn shrink(&mut self, asked: u64) -> bool {
        let half = (asked / 2).max(self.min);
        self.shrink_to(asked, half);
        half < asked
    }

    /// A request succeeded, after which the size may grow.
    pub fn succeed(&mut self) {
        if let Some(larger) = self.succeed_with() {
            self.grow_to(larger);
        }
    }

    /// Like [`succeed`](Self::succeed) where not every size is possible: the larger size that is due, if any, for
    /// [`grow_to`](Self::grow_to).
    pub(super) fn succeed_with(&mut self) -> Option<u64> {
        self.succeeded = self.succeeded.saturating_add(1);
        let twice = self.current.saturating_mul(2).min(self.max);
        let is_due = self.succeeded >= GROW_TO_REFUSED_AFTER || (self.succeeded >= GROW_AFTER && twice < self.refused);
        (is_due && twice > self.current).then_some(twice)
    }

    pub(super) fn grow_to(&mut self, larger: u64) {
        if larger >= self.refused {
            self.refused = u64::MAX;
        }
        self.current = larger;
        self.succeeded = 0;
    }

    /// Never exceeds `max` from now on.
    pub(super) fn cap(&mut self, max: u64) {
        self.max = self.max.min(max.max(self.min));
        self.current = self.current.min(self.max);
    }

    pub(super) fn shrink_to(&mut self, asked: u64, smaller: u64) {
        self.succeeded = 0;
        self.refused = self.refused.min(asked);
        self.current = self.current.min(smaller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(size: &mut AdaptiveSize, successes: u32) -> u64 {
        (0..successes).for_each(|_| size.succeed());
        size.current()
    }

    #[test]
    fn a_refused_size_is_halved_and_comes_back_late() {
        let mut size = AdaptiveSize::new(1000);
        assert!(size.shrink(1000) && size.shrink(500));
        assert_eq!(size.current(), 250);
        assert_eq!(after(&mut size, GROW_TO_REFUSED_AFTER - 1), 250, "500 was refused");
        assert_eq!(after(&mut size, 1), 500);
        assert_eq!(after(&mut size, GROW_AFTER), 1000);
        assert_eq!(after(&mut size, GROW_TO_REFUSED_AFTER), 1000);
    }

    #[test]
    fn below_the_refused_size_it_grows_soon() {
        let mut size = AdaptiveSize::new(1000);
        // The request that was refused had been the last, short one of a range.
        assert!(size.shrink(200));
        assert!(size.shrink(1000));
        assert_eq!(size.current(), 100);
        let mut size = AdaptiveSize::new(8);
        size.shrink_to(8, 1);
        assert_eq!((after(&mut size, GROW_AFTER), after(&mut size, GROW_AFTER)), (2, 4));
        assert_eq!(after(&mut size, GROW_AFTER), 4, "8 was refused");
    }

    #[test]
    fn a_cap_is_never_exceeded() {
        let mut size = AdaptiveSize::new(1000);
        size.cap(100);
        assert_eq!((size.current(), after(&mut size, 2 * GROW_TO_REFUSED_AFTER)), (100, 100));
    }

    #[test]
    fn there_is_an_end_to_making_it_smaller() {
        let mut size = AdaptiveSize::new(100).with_min(10);
        while size.shrink(size.current()) {}
        assert_eq!(size.current(), 10);
        assert!(!AdaptiveSize::new(1).shrink(1));
        assert!(!AdaptiveSize::new(5).with_min(10).shrink(5));
    }
}

//! Ranges of rows that are still to be written. Rows that are refused together are split until those at fault are alone.

use std::ops::{Add, Div, Range, Sub};

/// A number of a row.
pub trait RowNumber:
    Copy + PartialOrd + From<u8> + Add<Output = Self> + Sub<Output = Self> + Div<Output = Self>
{
}

impl<T> RowNumber for T where
    T: Copy + PartialOrd + From<u8> + Add<Output = Self> + Sub<Output = Self> + Div<Output = Self>
{
}

/// Ranges of rows, written in their order.
#[derive(Debug, Clone)]
pub struct PendingRanges<N> {
    /// The first one last.
    waiting: Vec<Range<N>>,
}

impl<N: RowNumber> PendingRanges<N> {
    /// All of `rows` together.
    pub fn new(rows: Range<N>) -> Self {
        Self { waiting: vec![rows] }
    }

    /// `rows` in ranges of at most `size`.
    pub fn of_size(rows: Range<N>, size: N) -> Self {
        let mut waiting = Vec::new();
        let mut start = rows.start;
        while start < rows.end {
            let end = if rows.end - start > size { start + size } else { rows.end };
            waiting.push(start..end);
            start = end;
        }
        waiting.reverse();
        Self { waiting }
    }

    /// The next range, which has rows.
    pub fn next_range(&mut self) -> Option<Range<N>> {
        loop {
            let rows = self.waiting.pop()?;
            if rows.start < rows.end {
                return Some(rows);
            }
        }
    }

    /// Puts refused rows, of which there are several, back in parts: around the row `named` if it is one of them, else
    /// in halves.
    pub fn split(&mut self, rows: &Range<N>, named: Option<N>) {
        let one = N::from(1);
        match named.filter(|row| rows.contains(row)) {
            Some(row) => self.waiting.extend([row + one..rows.end, row..row + one, rows.start..row]),
            None => {
                let middle = rows.start + (rows.end - rows.start) / N::from(2);
                self.waiting.extend([middle..rows.end, rows.start..middle]);
            }
        }
    }
}

/// Whether it is one row alone.
pub fn is_single<N: RowNumber>(rows: &Range<N>) -> bool {
    rows.start < rows.end && rows.end - rows.start <= N::from(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<N: RowNumber>(mut pending: PendingRanges<N>) -> Vec<Range<N>> {
        std::iter::from_fn(|| pending.next_range()).collect()
    }

    #[test]
    fn refused_rows_are_split_around_the_one_that_is_named() {
        let split = |named| {
            let mut pending = PendingRanges::new(0..0);
            pending.split(&(10..20), named);
            all(pending)
        };
        assert_eq!(split(Some(13)), [10..13, 13..14, 14..20]);
        assert_eq!(split(Some(10)), [10..11, 11..20]);
        assert_eq!(split(None), [10..15, 15..20]);
        // Ignore a row number out of range.
        assert_eq!(split(Some(50)), [10..15, 15..20]);
        assert!(is_single(&(3..4)) && !is_single(&(3..5)) && !is_single(&(3..3)));
    }

    #[test]
    fn every_row_is_in_one_range_of_the_size() {
        assert_eq!(all(PendingRanges::of_size(1_u64..8, 3)), [1..4, 4..7, 7..8]);
        assert_eq!(all(PendingRanges::of_size(1_u64..1, 3)), []);
    }
}

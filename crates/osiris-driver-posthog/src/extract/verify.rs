//! Verifies the rows by PostHog's own count. A segment whose count differs from the rows that were read is read again
//! in halves, each counted again, until both agree: rows that arrived meanwhile are found that way, and rows that
//! PostHog does not return are an error.

use std::collections::VecDeque;

use osiris_core::{Error, Result};

use super::ident::Ident;
use super::plan::ExtractPlan;
use crate::client::Client;
use crate::config::Timestamp;
use crate::error::is_too_large;
use crate::query::{Filter, From, Key, Range, Source, To};

/// How often a segment that cannot be halved any more is read again.
const MAX_ATTEMPTS: u32 = 3;

/// Counts rows in PostHog.
pub(super) struct Verifier {
    client: Client,
    source: Source,
    filter: Filter,
}

impl Verifier {
    pub(super) fn new(client: Client, plan: &ExtractPlan) -> Self {
        Self { client, source: plan.source, filter: plan.filter.clone() }
    }

    /// The distinct ids in a range, counted in parts if the whole is too much for one query. Rows are not counted: one
    /// may be there twice until ClickHouse has merged it.
    pub(super) async fn count(&self, range: &Range) -> Result<u64> {
        let mut parts = VecDeque::from([range.clone()]);
        let mut count = 0;
        while let Some(part) = parts.pop_front() {
            match self.ask(&part).await {
                Ok(ids) => count += ids,
                Err(error) if is_too_large(&error) => parts.extend(halves_by_time(&part).ok_or(error)?),
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    async fn ask(&self, range: &Range) -> Result<u64> {
        self.client.query(&self.source.count_ids(range, &self.filter), "counting rows").await?.number(0)
    }
}

/// How many rows the whole range has before anything is read, for the progress; `None` when that is too much for one
/// query. It verifies nothing: rows arrive all the time.
pub(super) async fn total(client: &Client, plan: &ExtractPlan) -> Result<Option<u64>> {
    match client.query(&plan.source.count_rows(&plan.range, &plan.filter), "counting rows").await {
        Ok(answer) => answer.number(0).map(Some),
        Err(error) if is_too_large(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn halves_by_time(range: &Range) -> Option<[Range; 2]> {
    let (from, to) = (range.from.time()?.micros(), range.to.time()?.micros());
    let length = to.checked_sub(from)?;
    if length < 2 {
        return None;
    }
    let middle = Timestamp::from_micros(from + length / 2);
    Some([
        Range { from: range.from.clone(), to: To::Before(middle) },
        Range { from: From::At(middle), to: range.to.clone() },
    ])
}

/// A row's timestamp and id, by which rows are ordered.
pub(super) type RowKey = (Option<Timestamp>, Ident);

/// A range for which PostHog's count differs from the rows that it returned.
pub(super) struct Segment {
    range: Range,
    /// The rows that it returned, in order.
    row_keys: Vec<RowKey>,
    attempts: u32,
}

impl Segment {
    pub(super) fn new(range: Range, row_keys: Vec<RowKey>) -> Self {
        Self { range, row_keys, attempts: 0 }
    }

    /// Two halves, split at the row in the middle; the whole segment if it has fewer than two rows.
    pub(super) fn halves(&self) -> Vec<Range> {
        let middle = self.row_keys.len() / 2;
        let Some((time, id)) = middle.checked_sub(1).and_then(|before| self.row_keys.get(before)) else {
            return vec![self.range.clone()];
        };
        let key = Key { time: *time, id: id.to_string() };
        vec![
            Range { from: self.range.from.clone(), to: To::Through(key.clone()) },
            Range { from: From::After(key), to: self.range.to.clone() },
        ]
    }

    /// What must be read again after a half was: `None` when PostHog counts as many rows as it returned.
    ///
    /// # Errors
    /// An integrity error after too many attempts.
    pub(super) fn next(&self, half: Range, row_keys: Vec<RowKey>, counted: u64) -> Result<Option<Self>> {
        if counted == row_keys.len() as u64 {
            return Ok(None);
        }
        let attempts = if half == self.range { self.attempts + 1 } else { 0 };
        if attempts < MAX_ATTEMPTS {
            return Ok(Some(Self { range: half, row_keys, attempts }));
        }
        Err(Error::integrity(format!(
            "PostHog counts {counted} rows in a time range, but returned {} in {MAX_ATTEMPTS} attempts",
            row_keys.len()
        ))
        .with_context(
            "range begins",
            half.from.time().map_or_else(|| "at the beginning".to_owned(), |time| time.to_string()),
        )
        .with_hint("nothing was stored: run it again, and report it to PostHog if it persists"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn range(from: i64, to: i64) -> Range {
        Range { from: From::At(at(from)), to: To::Before(at(to)) }
    }

    #[test]
    fn halves_meet_and_there_is_an_end_to_halving() {
        assert_eq!(halves_by_time(&range(0, 10)).unwrap(), [range(0, 5), range(5, 10)]);
        assert!(halves_by_time(&range(4, 5)).is_none());
        assert!(halves_by_time(&Range { from: From::Start, to: To::End }).is_none());
    }

    #[test]
    fn a_segment_is_halved_at_its_middle_row_even_among_equal_times() {
        let row_keys = ["a", "b", "c"].map(|id| (Some(at(7)), Ident::of(id)));
        let halves = Segment::new(range(0, 10), row_keys.to_vec()).halves();
        let key = Key { time: Some(at(7)), id: "a".to_owned() };
        assert_eq!(halves[0].to, To::Through(key.clone()));
        assert_eq!(halves[1].from, From::After(key));
        for few in 0..2 {
            assert_eq!(Segment::new(range(0, 10), row_keys[..few].to_vec()).halves(), [range(0, 10)]);
        }
    }

    #[test]
    fn what_stays_unequal_is_an_integrity_error() {
        let mut segment = Segment::new(range(0, 10), Vec::new());
        let counted = 1;
        for _ in 1..MAX_ATTEMPTS {
            segment = segment.next(range(0, 10), Vec::new(), counted).unwrap().unwrap();
        }
        let error = segment.next(range(0, 10), Vec::new(), counted).map(|_| ()).unwrap_err();
        insta::assert_snapshot!(error.report(), @"
        PostHog counts 1 rows in a time range, but returned 0 in 3 attempts
          range begins: 1970-01-01T00:00:00.000000Z
        hint: nothing was stored: run it again, and report it to PostHog if it persists
        ");
        assert!(Segment::new(range(0, 10), Vec::new()).next(range(0, 5), Vec::new(), 0).unwrap().is_none());
    }
}

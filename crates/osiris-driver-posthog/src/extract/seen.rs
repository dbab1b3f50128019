//! What was taken: by earlier runs, as far as it is read again, and by this one, as far as the next will read it again.

use std::collections::{HashSet, VecDeque};

use super::ident::Ident;
use super::pager::PageRow;
use crate::config::Moment;
use crate::hogql::Key;

/// Rows taken.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Rows of earlier runs.
    before: HashSet<Ident>,
    /// Rows of this run that lie in the lookback window of the last one, about.
    recent: VecDeque<(Moment, Ident)>,
    last: Option<Key>,
}

impl Seen {
    pub(super) fn of(before: HashSet<Ident>, last: Option<Key>) -> Self {
        Self { before, recent: VecDeque::new(), last }
    }

    /// Notes a row, and says whether an earlier run has taken it already.
    pub(super) fn note(&mut self, row: &PageRow, lookback: i64) -> bool {
        let ident = Ident::versioned(&row.key.id, row.version.as_deref());
        let known = self.before.contains(&ident);
        let Some(time) = row.key.time else { return known };
        if self.last.as_ref().is_none_or(|last| (last.time, last.id.as_str()) < (row.key.time, row.key.id.as_str())) {
            self.last = Some(row.key.clone());
        }
        self.recent.push_back((time, ident));
        let oldest = self.oldest(lookback);
        while self.recent.front().is_some_and(|(time, _)| Some(*time) < oldest) {
            self.recent.pop_front();
        }
        known
    }

    fn oldest(&self, lookback: i64) -> Option<Moment> {
        let last = self.last.as_ref()?.time?;
        Some(Moment::from_micros(last.micros().saturating_sub(lookback)))
    }

    /// The ids in the lookback window, sorted.
    pub(super) fn recent(&self, lookback: i64) -> Vec<String> {
        let oldest = self.oldest(lookback);
        let mut idents: Vec<&Ident> =
            self.recent.iter().filter(|(time, _)| Some(*time) >= oldest).map(|(_, ident)| ident).collect();
        idents.sort_unstable();
        idents.dedup();
        idents.into_iter().map(ToString::to_string).collect()
    }

    /// The last row by key, of this run or an earlier one.
    pub(super) fn into_last(self) -> Option<Key> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(micros: i64, id: &str) -> PageRow {
        PageRow { key: Key { time: Some(Moment::from_micros(micros)), id: id.to_owned() }, version: None }
    }

    #[test]
    fn only_the_lookback_window_is_remembered() {
        let mut seen = Seen::of([Ident::of("a")].into(), Some(row(5, "a").key));
        assert!(seen.note(&row(5, "a"), 100));
        assert!(!seen.note(&row(90, "b"), 100));
        // A late row, and then one that moves the window on.
        assert!(!seen.note(&row(50, "c"), 100));
        assert!(!seen.note(&row(160, "d"), 100));
        assert_eq!(seen.recent(100), ["b", "d"]);
        assert_eq!(seen.into_last().unwrap().id, "d");
    }

    #[test]
    fn a_row_without_newer_ones_leaves_the_last_row_where_it_was() {
        let mut seen = Seen::of(HashSet::new(), Some(row(500, "x").key));
        seen.note(&row(450, "late"), 100);
        assert_eq!(seen.recent(100), ["late"]);
        assert_eq!(seen.into_last().unwrap().id, "x");
    }
}

//! What a destination holds, and what it should hold.

use std::collections::BTreeMap;

use super::target::Mode;

/// Rows that a run brings, with ids from 1.
pub(super) const ROWS: i64 = 12_000;
/// The ids of rows that are there before an append or an overwrite; they are in no run.
pub(super) const OLD: [i64; 3] = [-3, -2, -1];

/// How often each id is there, and how many of its rows are those that the run brings.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Table(BTreeMap<i64, Count>);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    all: u64,
    new: u64,
}

/// The label of a row that a run brings.
pub(super) fn new_label(id: i64) -> String {
    format!("the new label, number {id}, of a row that has come a long way")
}

impl Table {
    /// Of rows of id and label.
    pub(super) fn of(rows: impl IntoIterator<Item = (i64, String)>) -> Self {
        let mut table = Self::default();
        for (id, label) in rows {
            let count = table.0.entry(id).or_default();
            count.all += 1;
            count.new += u64::from(label == new_label(id));
        }
        table
    }

    /// What is there before the run.
    pub(super) fn before(mode: Mode) -> Vec<(i64, String)> {
        match mode {
            Mode::Upsert => (1..=ROWS / 2).map(|id| (id, "old".to_owned())).collect(),
            Mode::Append | Mode::AppendRecorded | Mode::AppendByKey | Mode::Overwrite => {
                OLD.map(|id| (id, "old".to_owned())).to_vec()
            }
            Mode::Extract => Vec::new(),
            Mode::ExtractNew => (1..=ROWS / 2).map(|id| (id, new_label(id))).collect(),
        }
    }

    /// What must be there after it.
    pub(super) fn after(mode: Mode) -> Self {
        let is_append = matches!(mode, Mode::Append | Mode::AppendRecorded | Mode::AppendByKey);
        let kept = if is_append { Self::before(mode) } else { Vec::new() };
        Self::of(kept.into_iter().chain((1..=ROWS).map(|id| (id, new_label(id)))))
    }

    /// Rows that should be here as they are in `wanted` and are not.
    pub(super) fn lost(&self, wanted: &Self) -> u64 {
        let missing = |(id, wanted): (&i64, &Count)| {
            let found = self.0.get(id).copied().unwrap_or_default();
            wanted.all.saturating_sub(found.all).max(wanted.new.saturating_sub(found.new))
        };
        wanted.0.iter().map(missing).sum()
    }

    /// Rows that are here too often, or should not be here.
    pub(super) fn doubled(&self, wanted: &Self) -> u64 {
        let more =
            |(id, found): (&i64, &Count)| found.all.saturating_sub(wanted.0.get(id).copied().unwrap_or_default().all);
        self.0.iter().map(more).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_missing_old_or_twice_are_counted() {
        let wanted = Table::after(Mode::Append);
        let rows = || Table::before(Mode::Append).into_iter().chain((1..=ROWS).map(|id| (id, new_label(id))));
        let exact = Table::of(rows());
        assert_eq!((exact.lost(&wanted), exact.doubled(&wanted)), (0, 0));
        assert_eq!(Table::of(rows().skip(1)).lost(&wanted), 1);
        assert_eq!(Table::of(rows().chain([(7, new_label(7))])).doubled(&wanted), 1);
        let old = Table::of(rows().map(|(id, label)| (id, if id == 9 { "old".to_owned() } else { label })));
        assert_eq!((old.lost(&wanted), old.doubled(&wanted)), (1, 0));
    }
}

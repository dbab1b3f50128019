//! What became of the faults, counted.

use std::collections::BTreeMap;
use std::fmt;

/// What one fault came to.
#[derive(Debug, Default, Clone)]
pub(super) struct Row {
    /// The time was over before it.
    pub(super) not_run: bool,
    /// The run ended before it: nothing happened to it.
    pub(super) missed: bool,
    /// The run ended well in spite of it.
    pub(super) survived: bool,
    /// Rows that are not there after the recovery.
    pub(super) lost: u64,
    /// Rows that are there too often after the recovery.
    pub(super) doubled: u64,
    /// Between fault and recovery the destination held neither the old nor the new, although it promises one of them.
    pub(super) half_written: bool,
    /// Staging tables, temporary files or sessions after the recovery.
    pub(super) left_behind: bool,
    /// The run did not end.
    pub(super) hung: bool,
    /// A message said that nothing was written, and something was.
    pub(super) untrue: bool,
    /// The run did not survive what it should survive by default, or asked a person what the destination can say.
    pub(super) gave_up: bool,
    /// What was run and printed.
    pub(super) log: String,
}

/// What a fault adds to a column.
type Count = fn(&Row) -> u64;

/// What is counted; those in `BAD` must be 0.
const COLUMNS: [(&str, Count); 11] = [
    ("cases", |row| u64::from(!row.not_run)),
    ("survived", |row| u64::from(row.survived)),
    ("lost", |row| row.lost),
    ("doubled", |row| row.doubled),
    ("half-written", |row| u64::from(row.half_written)),
    ("left behind", |row| u64::from(row.left_behind)),
    ("hung", |row| u64::from(row.hung)),
    ("untrue", |row| u64::from(row.untrue)),
    ("gave up", |row| u64::from(row.gave_up)),
    ("not run", |row| u64::from(row.not_run)),
    ("missed", |row| u64::from(row.missed)),
];
const BAD: std::ops::Range<usize> = 2..9;

impl Row {
    pub(super) fn not_run() -> Self {
        Self { not_run: true, ..Self::default() }
    }

    pub(super) fn is_clean(&self) -> bool {
        COLUMNS[BAD].iter().all(|(_, count)| count(self) == 0)
    }
}

/// The table of the matrix: a line a target and mode, a line a kind of fault.
#[derive(Debug, Default)]
pub(super) struct Tally {
    by_target: BTreeMap<String, Vec<Row>>,
    by_fault: BTreeMap<String, Vec<Row>>,
    left_out: Vec<String>,
}

impl Tally {
    pub(super) fn add(&mut self, target: &str, fault: String, mut row: Row) {
        row.log.clear();
        self.by_target.entry(target.to_owned()).or_default().push(row.clone());
        self.by_fault.entry(fault).or_default().push(row);
    }

    /// Says below the table what this machine does not allow.
    pub(super) fn leave_out(&mut self, what: impl Into<String>) {
        self.left_out.push(what.into());
    }

    /// Whether something that begins with this was.
    pub(super) fn is_left_out(&self, what: &str) -> bool {
        self.left_out.iter().any(|left_out| left_out.starts_with(what))
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.by_target.values().flatten()
    }

    /// How many faults met a run, of a target and mode or of those that begin with this.
    pub(super) fn cases(&self, target: &str) -> usize {
        let of_target = self.by_target.iter().filter(|(name, _)| name.starts_with(target));
        of_target.flat_map(|(_, rows)| rows).filter(|row| !row.not_run && !row.missed).count()
    }

    pub(super) fn is_clean(&self) -> bool {
        self.rows().all(Row::is_clean)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles: Vec<String> = COLUMNS.iter().map(|(title, _)| (*title).to_owned()).collect();
        writeln!(f, "| {:<36} | {} |", "", titles.join(" | "))?;
        writeln!(f, "| --- |{}", " ---: |".repeat(COLUMNS.len()))?;
        let mut line = |name: &str, rows: &mut dyn Iterator<Item = &Row>| {
            let rows: Vec<&Row> = rows.collect();
            let cells = COLUMNS.iter().map(|(title, count)| {
                let sum: u64 = rows.iter().map(|row| count(row)).sum();
                format!("{sum:>width$}", width = title.len())
            });
            writeln!(f, "| {name:<36} | {} |", cells.collect::<Vec<_>>().join(" | "))
        };
        for (name, rows) in self.by_target.iter().chain(&self.by_fault) {
            line(name, &mut rows.iter())?;
        }
        line("all", &mut self.rows())?;
        match self.rows().filter(|row| row.not_run).count() {
            0 => {}
            count => writeln!(f, "not run: {count}: the time was over")?,
        }
        self.left_out.iter().try_for_each(|what| writeln!(f, "left out: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_that_were_not_run_are_named_and_bad_ones_are_not_clean() {
        let mut tally = Tally::default();
        tally.add("CSV append", "kill -9".to_owned(), Row { survived: true, ..Row::default() });
        tally.add("CSV append", "kill -9".to_owned(), Row::not_run());
        tally.add("CSV append", "kill -9".to_owned(), Row { missed: true, survived: true, ..Row::default() });
        tally.leave_out("small disks: `mount` is not permitted");
        let table = tally.to_string();
        assert!(tally.is_clean() && tally.cases("CSV") == 1, "{table}");
        assert!(table.contains("not run: 1: ") && table.contains("left out: small disks"), "{table}");
        let count = |row: Row| {
            tally.add("CSV append", "kill -9".to_owned(), row);
            std::mem::take(&mut tally).is_clean()
        };
        let bad = [
            Row { lost: 1, ..Row::default() },
            Row { doubled: 1, ..Row::default() },
            Row { half_written: true, ..Row::default() },
            Row { left_behind: true, ..Row::default() },
            Row { hung: true, ..Row::default() },
            Row { untrue: true, ..Row::default() },
            Row { gave_up: true, ..Row::default() },
        ];
        assert_eq!(bad.map(count), [false; 7]);
    }
}

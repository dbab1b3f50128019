//! What became of the faults, counted.

use std::collections::BTreeMap;
use std::fmt;

use super::COLUMNS;

/// What one fault came to.
#[derive(Debug, Default, Clone)]
pub(super) struct Row {
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
    /// What was run and printed.
    pub(super) story: String,
}

impl Row {
    pub(super) fn is_clean(&self) -> bool {
        COLUMNS[2..].iter().all(|(_, count)| count(self) == 0)
    }
}

/// The table of the matrix: a line a target and mode, a line a kind of fault.
#[derive(Debug, Default)]
pub(super) struct Tally {
    by_target: BTreeMap<String, Vec<Row>>,
    by_fault: BTreeMap<&'static str, Vec<Row>>,
}

impl Tally {
    pub(super) fn add(&mut self, target: &str, fault: &'static str, row: Row) {
        self.by_target.entry(target.to_owned()).or_default().push(row.clone());
        self.by_fault.entry(fault).or_default().push(row);
    }

    pub(super) fn cases(&self) -> usize {
        self.by_target.values().map(Vec::len).sum()
    }

    pub(super) fn is_clean(&self) -> bool {
        self.by_target.values().flatten().all(Row::is_clean)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles: Vec<String> = COLUMNS.iter().map(|(title, _)| (*title).to_owned()).collect();
        writeln!(f, "| {:<28} | {} |", "", titles.join(" | "))?;
        writeln!(f, "| --- |{}", " ---: |".repeat(COLUMNS.len()))?;
        let mut line = |name: &str, rows: &mut dyn Iterator<Item = &Row>| {
            let rows: Vec<&Row> = rows.collect();
            let cells = COLUMNS.iter().map(|(title, count)| {
                let sum: u64 = rows.iter().map(|row| count(row)).sum();
                format!("{sum:>width$}", width = title.len())
            });
            writeln!(f, "| {name:<28} | {} |", cells.collect::<Vec<_>>().join(" | "))
        };
        for (name, rows) in &self.by_target {
            line(name, &mut rows.iter())?;
        }
        for (name, rows) in &self.by_fault {
            line(name, &mut rows.iter())?;
        }
        line("all", &mut self.by_target.values().flatten())
    }
}

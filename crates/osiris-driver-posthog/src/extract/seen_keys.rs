//! Which rows of the lookback window were read: by earlier runs, whose window this run reads again, and by this run,
//! whose window the next one will read again. Few ids are kept in memory and in the state; more are kept on disk, as
//! digests.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};

use osiris_core::Result;
use osiris_core::state::{Digest, DigestReader, DigestWriter, StateFiles};

use super::ident::Ident;
use super::page::PageRow;
use crate::config::Timestamp;
use crate::query::Key;

/// Up to so many ids are in the state itself; more are in a file next to it.
const INLINE: usize = 10_000;
/// Up to so many ids of this run are in memory; beyond that, all go to disk.
const IN_MEMORY: usize = 50_000;
/// A log with fewer rows is never compacted.
const SHORT_LOG: u64 = 1_000_000;

/// Keys of rows that earlier runs have read.
#[derive(Debug)]
pub(super) enum PreviousKeys {
    Here(HashSet<Ident>),
    File(DigestReader),
}

impl Default for PreviousKeys {
    fn default() -> Self {
        Self::Here(HashSet::new())
    }
}

impl PreviousKeys {
    fn contains(&mut self, ident: &Ident) -> Result<bool> {
        match self {
            Self::Here(idents) => Ok(idents.contains(ident)),
            Self::File(reader) => reader.contains(digest(ident)),
        }
    }
}

fn digest(ident: &Ident) -> Digest {
    Digest::of(ident.to_string().as_bytes())
}

/// The ids in the lookback window, as they are saved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecentKeys {
    /// Few, sorted.
    Here(Vec<String>),
    /// Many, in this file.
    File(String),
}

/// Keys of rows that were read.
#[derive(Debug)]
pub(super) struct SeenKeys {
    before: PreviousKeys,
    /// Rows of this run, roughly those in the lookback window before the latest one.
    recent: VecDeque<(Timestamp, Ident)>,
    /// Earlier ones, if there are too many for memory.
    log: Option<Log>,
    last: Option<Key>,
    files: StateFiles,
}

impl SeenKeys {
    pub(super) fn of(before: PreviousKeys, last: Option<Key>, files: StateFiles) -> Self {
        Self { before, recent: VecDeque::new(), log: None, last, files }
    }

    /// Records a row, and returns whether an earlier run has read it already.
    ///
    /// # Errors
    /// When the log on disk cannot be written.
    pub(super) fn note(&mut self, row: &PageRow, lookback: i64) -> Result<bool> {
        let ident = Ident::versioned(&row.key.id, row.version.as_deref());
        let known = self.before.contains(&ident)?;
        let Some(time) = row.key.time else { return Ok(known) };
        if self.last.as_ref().is_none_or(|last| (last.time, last.id.as_str()) < (row.key.time, row.key.id.as_str())) {
            self.last = Some(row.key.clone());
        }
        self.recent.push_back((time, ident));
        let oldest = self.oldest(lookback);
        while self.recent.front().is_some_and(|(time, _)| Some(*time) < oldest) {
            self.recent.pop_front();
        }
        if self.recent.len() > IN_MEMORY {
            self.spill(oldest)?;
        }
        Ok(known)
    }

    fn oldest(&self, lookback: i64) -> Option<Timestamp> {
        let last = self.last.as_ref()?.time?;
        Some(Timestamp::from_micros(last.micros().saturating_sub(lookback)))
    }

    fn spill(&mut self, oldest: Option<Timestamp>) -> Result<()> {
        let log = match &mut self.log {
            Some(log) => log,
            None => self.log.insert(Log::new(&self.files)?),
        };
        log.append(self.recent.drain(..).map(|(time, ident)| (time, digest(&ident))))?;
        log.shorten(oldest, &self.files)
    }

    /// The ids in the lookback window, and the last row by key, of this run or an earlier one.
    ///
    /// # Errors
    /// When they cannot be written to disk.
    pub(super) fn finish(mut self, lookback: i64) -> Result<(RecentKeys, Option<Key>)> {
        let oldest = self.oldest(lookback);
        self.recent.retain(|(time, _)| Some(*time) >= oldest);
        if self.log.is_none() && self.recent.len() <= INLINE {
            let mut idents: Vec<Ident> = self.recent.into_iter().map(|(_, ident)| ident).collect();
            idents.sort_unstable();
            idents.dedup();
            return Ok((RecentKeys::Here(idents.iter().map(ToString::to_string).collect()), self.last));
        }
        let mut writer = DigestWriter::default();
        for (_, ident) in &self.recent {
            writer.push(digest(ident), &self.files)?;
        }
        if let Some(log) = self.log {
            log.each(oldest, &mut |_, digest| writer.push(digest, &self.files))?;
        }
        Ok((RecentKeys::File(writer.finish(self.files.directory()?)?), self.last))
    }
}

/// Rows with their times, on disk. The file has no name and is removed when this is dropped.
#[derive(Debug)]
struct Log {
    file: File,
    rows: u64,
    /// How many rows there were after the last compaction.
    kept: u64,
}

impl Log {
    fn new(files: &StateFiles) -> Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(files.directory()?)?, rows: 0, kept: 0 })
    }

    fn append(&mut self, rows: impl Iterator<Item = (Timestamp, Digest)>) -> Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        let mut out = BufWriter::new(&mut self.file);
        for (time, digest) in rows {
            out.write_all(&time.micros().to_le_bytes())?;
            out.write_all(&digest.to_bytes())?;
            self.rows += 1;
        }
        Ok(out.flush()?)
    }

    /// Removes rows older than `oldest`, from time to time: the log stays about as long as the window.
    fn shorten(&mut self, oldest: Option<Timestamp>, files: &StateFiles) -> Result<()> {
        if self.rows < SHORT_LOG.max(self.kept.saturating_mul(2)) {
            return Ok(());
        }
        let mut shorter = Self::new(files)?;
        {
            let mut out = BufWriter::new(&mut shorter.file);
            let rows = &mut shorter.rows;
            self.each(oldest, &mut |time, digest| {
                out.write_all(&time.micros().to_le_bytes())?;
                out.write_all(&digest.to_bytes())?;
                *rows += 1;
                Ok(())
            })?;
            out.flush()?;
        }
        shorter.kept = shorter.rows;
        *self = shorter;
        Ok(())
    }

    /// Calls `found` for every row that is not older than `oldest`.
    fn each(&self, oldest: Option<Timestamp>, found: &mut dyn FnMut(Timestamp, Digest) -> Result<()>) -> Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut input = BufReader::new(file);
        let (mut micros, mut digest) = ([0; 8], [0; 16]);
        loop {
            match input.read_exact(&mut micros) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            input.read_exact(&mut digest)?;
            let time = Timestamp::from_micros(i64::from_le_bytes(micros));
            if Some(time) >= oldest {
                found(time, Digest::from_bytes(digest))?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(micros: i64, id: &str) -> PageRow {
        PageRow { key: Key { time: Some(Timestamp::from_micros(micros)), id: id.to_owned() }, version: None }
    }

    fn files(directory: &tempfile::TempDir) -> StateFiles {
        StateFiles::new(directory.path(), None)
    }

    #[test]
    fn only_the_lookback_window_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let before = PreviousKeys::Here([Ident::of("a")].into());
        let mut seen = SeenKeys::of(before, Some(row(5, "a").key), files(&directory));
        assert!(seen.note(&row(5, "a"), 100).unwrap());
        assert!(!seen.note(&row(90, "b"), 100).unwrap());
        // A late row, and then one that moves the window on.
        assert!(!seen.note(&row(50, "c"), 100).unwrap());
        assert!(!seen.note(&row(160, "d"), 100).unwrap());
        let (recent, last) = seen.finish(100).unwrap();
        assert_eq!(recent, RecentKeys::Here(vec!["b".to_owned(), "d".to_owned()]));
        assert_eq!(last.unwrap().id, "d");
    }

    #[test]
    fn a_row_without_newer_ones_leaves_the_last_row_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let mut seen = SeenKeys::of(PreviousKeys::default(), Some(row(500, "x").key), files(&directory));
        seen.note(&row(450, "late"), 100).unwrap();
        let (recent, last) = seen.finish(100).unwrap();
        assert_eq!(recent, RecentKeys::Here(vec!["late".to_owned()]));
        assert_eq!(last.unwrap().id, "x");
    }

    #[test]
    fn s23_many_ids_are_on_disk_and_only_those_of_the_window_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(&directory);
        let mut seen = SeenKeys::of(PreviousKeys::default(), None, files.clone());
        let (rows, window) = (1_300_000_i64, 400_000);
        for number in 0..rows {
            assert!(!seen.note(&row(number, &number.to_string()), window).unwrap());
            assert!(seen.recent.len() <= IN_MEMORY);
        }
        let logged = seen.log.as_ref().map(|log| log.rows).unwrap();
        assert!(logged < SHORT_LOG + IN_MEMORY as u64, "{logged} rows in the log");
        let (RecentKeys::File(name), last) = seen.finish(window).unwrap() else { panic!("the ids are in memory") };
        let reader = DigestReader::open(&files.find(&name).unwrap(), files.directory().unwrap()).unwrap();
        let mut again = SeenKeys::of(PreviousKeys::File(reader), last, files);
        for (number, known) in [(0, false), (rows - window - 2, false), (rows - window, true), (rows - 1, true)] {
            assert_eq!(again.note(&row(number, &number.to_string()), window).unwrap(), known, "{number}");
        }
    }
}

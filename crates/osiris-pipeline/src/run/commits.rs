//! The commits of a run, `commits.jsonl` in its directory: what its writers were about to commit, and the outcomes.
//!
//! Each line is on disk before the writer goes on. A line that announces a commit reserves the space for its outcome,
//! as blanks: the outcome can be recorded even if the disk is full by then.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use osiris_core::{CommitEnd, CommitLog, CommitRecord, Error, Result, Written, private};
use serde::{Deserialize, Serialize};

use super::confirmation::Confirmation;

/// The file.
pub(super) const COMMITS: &str = "commits.jsonl";

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// A commit begins.
    Begun { id: u64, at: DateTime<Utc>, record: CommitRecord },
    /// Its outcome.
    Ended { id: u64, at: DateTime<Utc>, end: CommitEnd },
    /// The user wants the step to run again, whatever its outcome.
    Dismissed { id: u64, at: DateTime<Utc> },
    /// The user has found the rows of a step in its destination.
    Confirmed { step: String, fingerprint: Option<String>, confirmation: Confirmation },
    /// The user wants a confirmed step to run again.
    Withdrawn { step: String, at: DateTime<Utc> },
}

/// A commit that an earlier process began.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PastCommit {
    pub(super) id: u64,
    pub(super) record: CommitRecord,
    pub(super) end: Option<CommitEnd>,
}

/// The records of the earlier processes of a run.
#[derive(Debug, Default)]
pub(super) struct PastCommits {
    /// The commits that were begun and not dismissed.
    pub(super) commits: Vec<PastCommit>,
    /// The steps whose rows the user has found in their destinations, with their fingerprints.
    pub(super) confirmed: BTreeMap<String, (Option<String>, Confirmation)>,
}

/// What is recorded in the run of `directory`.
///
/// # Errors
/// The file is there and cannot be understood: going on without it might write rows twice.
pub(super) fn read(directory: &Path) -> Result<PastCommits> {
    let path = directory.join(COMMITS);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PastCommits::default()),
        Err(error) => return Err(Error::from(error).with_context("path", path.display())),
    };
    let mut commits: BTreeMap<u64, PastCommit> = BTreeMap::new();
    let mut confirmed = BTreeMap::new();
    for line in whole_lines(&text) {
        match serde_json::from_slice(line) {
            Ok(Line::Begun { id, record, .. }) => drop(commits.insert(id, PastCommit { id, record, end: None })),
            Ok(Line::Ended { id, end, .. }) => {
                if let Some(commit) = commits.get_mut(&id) {
                    commit.end = Some(end);
                }
            }
            Ok(Line::Dismissed { id, .. }) => drop(commits.remove(&id)),
            Ok(Line::Confirmed { step, fingerprint, confirmation }) => {
                let open = commits.values_mut().filter(|commit| commit.record.step == step && commit.end.is_none());
                open.for_each(|commit| commit.end = Some(CommitEnd::Committed { written: None }));
                confirmed.insert(step, (fingerprint, confirmation));
            }
            Ok(Line::Withdrawn { step, .. }) => drop(confirmed.remove(&step)),
            // An answer of which only a part got to the disk is none.
            Err(_) if line.starts_with(b"{\"ended\"") => {}
            Err(error) => {
                return Err(Error::validation("the record of what the run was writing cannot be read")
                    .with_context("path", path.display())
                    .with_source(error)
                    .with_hint("check which rows its destinations hold, then run the pipeline from the start"));
            }
        }
    }
    Ok(PastCommits { commits: commits.into_values().collect(), confirmed })
}

/// The lines that are not empty. One without its end was being written when the process was killed: nothing had begun.
fn whole_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    text[..whole].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

/// The file of a run that goes on.
pub(super) struct CommitFile {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: Option<File>,
    length: u64,
    next: u64,
    /// The commits of this process: their ids, and where the answers go.
    open: BTreeMap<(String, u32, u32), (u64, u64)>,
}

impl CommitFile {
    /// The file of the run in `directory`, which need not be there yet.
    ///
    /// # Errors
    /// It is there and cannot be understood, or not be written.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let path = directory.join(COMMITS);
        let mut state = State { file: None, length: 0, next: 1, open: BTreeMap::new() };
        if path.exists() {
            let failed = |error: io::Error| Error::from(error).with_context("path", path.display());
            state.next = read(directory)?.commits.last().map_or(0, |commit| commit.id) + 1;
            let text = fs::read(&path).map_err(failed)?;
            state.next = state.next.max(1 + text.iter().filter(|byte| **byte == b'\n').count() as u64);
            state.length = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end as u64 + 1);
            let file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
            private::tighten(&path).map_err(failed)?;
            file.set_len(state.length).map_err(failed)?;
            state.file = Some(file);
        }
        Ok(Self { path, state: Mutex::new(state) })
    }

    /// Records the outcome of a commit of an earlier process.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn end_past(&self, id: u64, end: CommitEnd) -> Result<()> {
        self.append(&Line::Ended { id, at: Utc::now(), end })
    }

    /// Records that a commit of an earlier process no longer counts.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn dismiss(&self, id: u64) -> Result<()> {
        self.append(&Line::Dismissed { id, at: Utc::now() })
    }

    /// Records that the user has found the rows of a step in its destination.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn confirm(&self, step: &str, fingerprint: Option<&str>, confirmation: &Confirmation) -> Result<()> {
        self.append(&Line::Confirmed {
            step: step.to_owned(),
            fingerprint: fingerprint.map(str::to_owned),
            confirmation: confirmation.clone(),
        })
    }

    /// Records that a confirmation no longer counts.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn withdraw(&self, step: &str) -> Result<()> {
        self.append(&Line::Withdrawn { step: step.to_owned(), at: Utc::now() })
    }

    fn append(&self, line: &Line) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = serde_json::to_vec(line).map_err(unwritable)?;
        text.push(b'\n');
        self.write(&mut state, &text)
    }

    /// Puts `text` at the end of the file, durably, or leaves the file as it was.
    fn write(&self, state: &mut State, text: &[u8]) -> Result<()> {
        let written = (|| {
            let is_new = state.file.is_none();
            let file = match &mut state.file {
                Some(file) => file,
                none => none.insert(private::create(&self.path)?),
            };
            file.seek(SeekFrom::Start(state.length))?;
            file.write_all(text)?;
            file.sync_all()?;
            match self.path.parent() {
                Some(parent) if is_new => File::open(parent)?.sync_all(),
                _ => Ok(()),
            }
        })();
        match written {
            Ok(()) => {
                state.length += text.len() as u64;
                Ok(())
            }
            Err(error) => {
                if let Some(file) = &state.file {
                    let _ = file.set_len(state.length);
                }
                Err(self.failed(error))
            }
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::from(error).with_context("path", self.path.display())
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::unknown("the record of a commit has no JSON form").with_source(error)
}

fn key(record: &CommitRecord) -> (String, u32, u32) {
    (record.step.clone(), record.attempt, record.number)
}

fn answer(id: u64, end: CommitEnd) -> Result<Vec<u8>> {
    serde_json::to_vec(&Line::Ended { id, at: Utc::now(), end }).map_err(unwritable)
}

impl CommitLog for CommitFile {
    fn begun(&self, record: &CommitRecord) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let id = state.next;
        let line = Line::Begun { id, at: Utc::now(), record: record.clone() };
        let mut text = serde_json::to_vec(&line).map_err(unwritable)?;
        text.push(b'\n');
        let room = state.length + text.len() as u64;
        text.resize(text.len() + longest_answer(id)?, b' ');
        text.push(b'\n');
        self.write(&mut state, &text)?;
        state.next += 1;
        state.open.insert(key(record), (id, room));
        Ok(())
    }

    fn ended(&self, record: &CommitRecord, end: &CommitEnd) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((id, room)) = state.open.remove(&key(record)) else { return Ok(()) };
        let text = answer(id, *end)?;
        let Some(file) = &mut state.file else { return Ok(()) };
        let written =
            file.seek(SeekFrom::Start(room)).and_then(|_| file.write_all(&text)).and_then(|()| file.sync_data());
        written.map_err(|error| self.failed(error))
    }
}

/// The bytes of the longest outcome record.
fn longest_answer(id: u64) -> Result<usize> {
    let most = u64::MAX;
    let written =
        Written { inserted: most, updated: most, unchanged: most, ignored: most, deleted: most, altered: most };
    // The fraction of a second may have nine digits or none.
    Ok(answer(id, CommitEnd::Committed { written: Some(written) })?.len() + 10)
}

#[cfg(test)]
mod tests {
    use osiris_core::Intent;

    use super::*;

    fn record(step: &str, attempt: u32) -> CommitRecord {
        let intent = Intent::new("table `t`").with_token(serde_json::json!({"xid": 7}));
        CommitRecord {
            step: step.to_owned(),
            fingerprint: Some("sha256:00".to_owned()),
            attempt,
            number: 1,
            read: Some(3),
            rejected: 0,
            intent,
        }
    }

    fn ends(directory: &Path) -> Vec<Option<CommitEnd>> {
        read(directory).unwrap().commits.into_iter().map(|commit| commit.end).collect()
    }

    #[test]
    fn s2_what_was_begun_and_what_became_of_it_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(ends(directory.path()), []);
        let file = CommitFile::open(directory.path()).unwrap();
        let committed = CommitEnd::Committed { written: Some(Written::inserted(u64::MAX)) };
        for (attempt, end) in [(1, Some(CommitEnd::NotCommitted)), (2, Some(committed)), (3, None)] {
            file.begun(&record("load", attempt)).unwrap();
            if let Some(end) = end {
                file.ended(&record("load", attempt), &end).unwrap();
            }
        }
        assert_eq!(ends(directory.path()), [Some(CommitEnd::NotCommitted), Some(committed), None]);
        let commits = read(directory.path()).unwrap().commits;
        assert_eq!((commits[0].id, &commits[2].record), (1, &record("load", 3)));
    }

    #[test]
    fn s2_a_resumed_run_goes_on_in_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        CommitFile::open(directory.path()).unwrap().begun(&record("load", 1)).unwrap();
        let file = CommitFile::open(directory.path()).unwrap();
        let id = read(directory.path()).unwrap().commits[0].id;
        file.end_past(id, CommitEnd::NotCommitted).unwrap();
        file.begun(&record("load", 1)).unwrap();
        file.ended(&record("load", 1), &CommitEnd::Committed { written: None }).unwrap();
        assert_eq!(
            ends(directory.path()),
            [Some(CommitEnd::NotCommitted), Some(CommitEnd::Committed { written: None })]
        );
        let file = CommitFile::open(directory.path()).unwrap();
        file.dismiss(id).unwrap();
        assert_eq!(ends(directory.path()), [Some(CommitEnd::Committed { written: None })]);
    }

    #[test]
    fn s2_a_torn_line_is_what_it_was_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(COMMITS);
        CommitFile::open(directory.path()).unwrap().begun(&record("load", 1)).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let found = read(directory.path()).unwrap().commits.len();
            assert_eq!(found, usize::from(length > whole.trim_ascii_end().len()), "{length}");
            // The next one begins on a line of its own.
            CommitFile::open(directory.path()).unwrap().begun(&record("next", 1)).unwrap();
            assert_eq!(read(directory.path()).unwrap().commits.last().unwrap().record.step, "next");
        }
        // A torn answer leaves the outcome unknown.
        let mut torn = whole.clone();
        let at = torn.trim_ascii_end().len() + 1;
        torn[at..at + 20].copy_from_slice(b"{\"ended\":{\"id\":1,\"at");
        fs::write(&path, &torn).unwrap();
        assert_eq!(ends(directory.path()), [None]);
        fs::write(&path, b"{\"begun\":7}\n").unwrap();
        assert!(read(directory.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn s34_the_file_is_private_from_its_first_byte() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(COMMITS);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        CommitFile::open(directory.path()).unwrap().begun(&record("load", 1)).unwrap();
        assert_eq!(mode(), 0o600);
        // One of an earlier version is tightened before more is added.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        CommitFile::open(directory.path()).unwrap().begun(&record("load", 2)).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn what_the_user_confirms_counts_until_it_is_withdrawn() {
        let directory = tempfile::tempdir().unwrap();
        let file = CommitFile::open(directory.path()).unwrap();
        file.begun(&record("load", 1)).unwrap();
        file.begun(&record("other", 1)).unwrap();
        file.confirm("load", Some("sha256:00"), &Confirmation::now(Some("ann"))).unwrap();
        assert_eq!(ends(directory.path()), [Some(CommitEnd::Committed { written: None }), None]);
        let confirmed = read(directory.path()).unwrap().confirmed;
        assert_eq!(confirmed["load"].0.as_deref(), Some("sha256:00"));
        assert_eq!((confirmed["load"].1.user.as_deref(), confirmed.len()), (Some("ann"), 1));
        CommitFile::open(directory.path()).unwrap().withdraw("load").unwrap();
        assert!(read(directory.path()).unwrap().confirmed.is_empty());
    }

    #[test]
    fn s60_an_answer_takes_no_room_that_was_not_there_before() {
        let directory = tempfile::tempdir().unwrap();
        let file = CommitFile::open(directory.path()).unwrap();
        file.begun(&record("load", 1)).unwrap();
        let before = fs::metadata(directory.path().join(COMMITS)).unwrap().len();
        let most = u64::MAX;
        let written =
            Written { inserted: most, updated: most, unchanged: most, ignored: most, deleted: most, altered: most };
        file.ended(&record("load", 1), &CommitEnd::Committed { written: Some(written) }).unwrap();
        assert_eq!(fs::metadata(directory.path().join(COMMITS)).unwrap().len(), before);
        assert_eq!(ends(directory.path()), [Some(CommitEnd::Committed { written: Some(written) })]);
    }
}

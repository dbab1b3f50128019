//! Scans a large plain file with several threads: each begins at the start of a line, assuming that it is the start of
//! a record. It was, if the previous thread ended exactly there; else, or when a thread finds anything unusual, the
//! file is scanned again from the start with one thread, which knows every line number.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use osiris_core::Result;

use super::scan::{Scan, ScanOptions, Scanned};
use crate::compression::open;

/// Minimum bytes per thread.
const WORTH_A_THREAD: u64 = 8 << 20;
const THREADS: usize = 8;

/// Scans the file at `path`, `size` bytes long. `None` when it has to be done with one thread.
///
/// # Errors
/// When the scan was stopped.
pub(crate) fn scan(path: &Path, name: &str, size: u64, options: &ScanOptions<'_>) -> Result<Option<Scanned>> {
    let Some(starts) = starts(path, size) else { return Ok(None) };
    let names = Scan::start(open(path, name)?, name, options, None)?.names().to_vec();
    let parts: Vec<Option<(Scanned, u64)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = starts
            .iter()
            .enumerate()
            .map(|(index, start)| {
                let (end, names) = (starts.get(index + 1).copied(), names.clone());
                scope.spawn(move || part(path, name, *start, end, options, names))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
    });
    // A stopped scan is not started again.
    (options.on_bytes)(0)?;
    Ok(join(parts, &starts))
}

/// The start positions of the threads: 0, and after the first line end after each further share. `None` when one thread
/// is enough.
fn starts(path: &Path, size: u64) -> Option<Vec<u64>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let threads = u64::try_from(cores).unwrap_or(1).min(size / WORTH_A_THREAD);
    let mut starts = vec![0];
    for index in 1..threads {
        let mut file = BufReader::new(File::open(path).ok()?);
        let share = size / threads * index;
        file.seek(SeekFrom::Start(share)).ok()?;
        let mut passed = Vec::new();
        // Do not search for a start in a line of many megabytes.
        let passed = std::io::Read::take(&mut file, WORTH_A_THREAD / 2).read_until(b'\n', &mut passed).ok()?;
        starts.push(share + u64::try_from(passed).ok()?);
    }
    (threads > 1).then_some(starts)
}

/// Scans the records that begin between `start` and `end`. Returns where the next one begins. `None` when anything is
/// unusual.
fn part(
    path: &Path,
    name: &str,
    start: u64,
    end: Option<u64>,
    options: &ScanOptions<'_>,
    names: Vec<String>,
) -> Option<(Scanned, u64)> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(start)).ok()?;
    let scan = if start == 0 {
        Scan::start(file, name, options, None).ok()?
    } else {
        Scan::continued(file, name, options, names)
    };
    let (scanned, position) = scan.until(end.map(|end| end - start)).ok()?;
    (scanned.plain && scanned.rejected == 0).then_some((scanned, start + position))
}

/// Merges the scans of all parts, if each ended where the next began.
fn join(parts: Vec<Option<(Scanned, u64)>>, starts: &[u64]) -> Option<Scanned> {
    let mut parts = parts.into_iter();
    let (mut joined, mut position) = parts.next()??;
    for (part, start) in parts.zip(&starts[1..]) {
        let (part, end) = part?;
        if position != *start || !joined.absorb(part) {
            return None;
        }
        position = end;
    }
    Some(joined)
}

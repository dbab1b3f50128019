//! Sets of digests that may be larger than memory: written once, sorted, into a file that is named after its content,
//! and looked up through a small index. A digest may be in a set several times.
//!
//! A file is a line of text, then records of 20 bytes: the digest, and how many times it is there (little endian), in
//! order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::StateFiles;
use crate::{Error, Result};

/// The first 128 bits of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

const MAGIC: &[u8] = b"osiris digests 1\n";
const RECORD: usize = 20;
/// Digests that are sorted in memory: 4 MB.
const RUN: usize = 1 << 18;
/// Every so many records the index has an entry: 4 bytes of memory for a kilobyte of file.
const STRIDE: u64 = 64;

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// The digest of everything that was hashed.
    pub fn finish(hash: Sha256) -> Self {
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.finalize()[..16]);
        Self(digest)
    }

    /// As 32 hexadecimal digits.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut digest = [0; 16];
        for (index, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// From its bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// A set that is being written. Uses a few megabytes of memory, whatever its size; its temporary files have no name and
/// disappear with it.
#[derive(Debug, Default)]
pub struct DigestWriter {
    buffer: Vec<Digest>,
    spilled: Vec<File>,
    len: u64,
}

impl DigestWriter {
    /// Adds one.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn push(&mut self, digest: Digest, files: &StateFiles) -> Result<()> {
        self.buffer.push(digest);
        self.len += 1;
        if self.buffer.len() >= RUN { self.spill(files.directory()?) } else { Ok(()) }
    }

    /// How many were added.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, if they are so few that they are in memory still.
    pub fn in_memory(&self) -> Option<&[Digest]> {
        self.spilled.is_empty().then_some(&self.buffer)
    }

    fn spill(&mut self, directory: &Path) -> Result<()> {
        self.buffer.sort_unstable();
        let mut file = tempfile::tempfile_in(directory)?;
        {
            let mut out = BufWriter::new(&mut file);
            self.buffer.iter().try_for_each(|digest| out.write_all(&digest.0))?;
            out.flush()?;
        }
        file.seek(SeekFrom::Start(0))?;
        self.spilled.push(file);
        self.buffer.clear();
        Ok(())
    }

    /// Writes the set into `directory`, flushed to disk, and returns the name of its file.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn finish(mut self, directory: &Path) -> Result<String> {
        if !self.buffer.is_empty() {
            self.spill(directory)?;
        }
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        let mut out = Output { out: BufWriter::new(file.as_file_mut()), hash: Sha256::new() };
        out.write(MAGIC)?;
        let mut inputs: Vec<BufReader<File>> = self.spilled.drain(..).map(BufReader::new).collect();
        let mut heads = BinaryHeap::new();
        for (index, input) in inputs.iter_mut().enumerate() {
            heads.extend(next(input)?.map(|digest| Reverse((digest, index))));
        }
        let mut current: Option<(Digest, u32)> = None;
        while let Some(Reverse((digest, index))) = heads.pop() {
            current = match current {
                Some((same, count)) if same == digest => Some((same, count.saturating_add(1))),
                before => {
                    before.map_or(Ok(()), |(digest, count)| out.record(digest, count))?;
                    Some((digest, 1))
                }
            };
            heads.extend(next(&mut inputs[index])?.map(|digest| Reverse((digest, index))));
        }
        current.map_or(Ok(()), |(digest, count)| out.record(digest, count))?;
        let name = out.finish()?;
        file.as_file().sync_all()?;
        file.persist(directory.join(&name)).map_err(|error| Error::from(error.error))?;
        Ok(name)
    }
}

/// The next digest of a sorted file.
fn next(input: &mut impl Read) -> Result<Option<Digest>> {
    let mut digest = [0; 16];
    match input.read_exact(&mut digest) {
        Ok(()) => Ok(Some(Digest(digest))),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A file that is hashed while it is written.
struct Output<W: Write> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Output<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        Ok(self.out.write_all(bytes)?)
    }

    fn record(&mut self, digest: Digest, count: u32) -> Result<()> {
        self.write(&digest.0)?;
        self.write(&count.to_le_bytes())
    }

    fn finish(mut self) -> Result<String> {
        self.out.flush()?;
        Ok(name_of(self.hash))
    }
}

fn name_of(hash: Sha256) -> String {
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("digests-{digits}")
}

/// A set in its file. Its memory is an index: a thousandth of the file.
#[derive(Debug)]
pub struct DigestReader {
    file: File,
    records: u64,
    index: Vec<Digest>,
    /// How often each record was taken, in order.
    taken: File,
    block: Vec<u8>,
}

impl DigestReader {
    /// Opens a file that [`DigestWriter::finish`] wrote, and makes sure that it is whole.
    ///
    /// # Errors
    /// The file is damaged, or a temporary file in `scratch` cannot be written.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self> {
        let damaged = || {
            Error::validation("a file of the saved state is damaged")
                .with_context("path", path.display())
                .with_hint("restore it, or remove the state with `osiris state reset` to read all rows again")
        };
        let file = File::open(path)?;
        let length = file.metadata()?.len().checked_sub(MAGIC.len() as u64).ok_or_else(damaged)?;
        if !length.is_multiple_of(RECORD as u64) {
            return Err(damaged());
        }
        let records = length / RECORD as u64;
        let mut input = BufReader::new(&file);
        let mut hash = Sha256::new();
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        hash.update(magic);
        let mut index = Vec::new();
        let mut record = [0; RECORD];
        for number in 0..records {
            input.read_exact(&mut record)?;
            hash.update(record);
            if number.is_multiple_of(STRIDE) {
                index.push(digest_in(&record));
            }
        }
        if magic != MAGIC || path.file_name().and_then(|name| name.to_str()) != Some(&name_of(hash)) {
            return Err(damaged());
        }
        let taken = tempfile::tempfile_in(scratch)?;
        taken.set_len(records * 4)?;
        Ok(Self { file, records, index, taken, block: Vec::new() })
    }

    /// Whether the digest is there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn contains(&mut self, digest: Digest) -> Result<bool> {
        Ok(self.find(digest)?.is_some())
    }

    /// Takes one of those that are equal to `digest`; false when none is left.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn take(&mut self, digest: Digest) -> Result<bool> {
        let Some((number, count)) = self.find(digest)? else { return Ok(false) };
        let mut bytes = [0; 4];
        self.taken.seek(SeekFrom::Start(number * 4))?;
        self.taken.read_exact(&mut bytes)?;
        let used = u32::from_le_bytes(bytes);
        if used >= count {
            return Ok(false);
        }
        self.taken.seek(SeekFrom::Start(number * 4))?;
        self.taken.write_all(&(used + 1).to_le_bytes())?;
        Ok(true)
    }

    /// The number of the digest's record, and how many times it is there.
    fn find(&mut self, digest: Digest) -> Result<Option<(u64, u32)>> {
        let Some(entry) = self.index.partition_point(|first| *first <= digest).checked_sub(1) else { return Ok(None) };
        let first = entry as u64 * STRIDE;
        let count = STRIDE.min(self.records - first);
        self.block.resize(usize::try_from(count).unwrap_or(0) * RECORD, 0);
        self.file.seek(SeekFrom::Start(MAGIC.len() as u64 + first * RECORD as u64))?;
        self.file.read_exact(&mut self.block)?;
        let (records, _) = self.block.as_chunks::<RECORD>();
        let found = records.binary_search_by_key(&digest, digest_in).ok();
        Ok(found.map(|at| (first + at as u64, count_in(&records[at]))))
    }
}

fn digest_in(record: &[u8; RECORD]) -> Digest {
    let mut digest = [0; 16];
    digest.copy_from_slice(&record[..16]);
    Digest(digest)
}

fn count_in(record: &[u8; RECORD]) -> u32 {
    let mut count = [0; 4];
    count.copy_from_slice(&record[16..]);
    u32::from_le_bytes(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    #[test]
    fn s22_a_set_larger_than_memory_is_found_again_each_as_often_as_it_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let files = StateFiles::new(directory.path(), None);
        let mut writer = DigestWriter::default();
        let count = RUN as u64 * 2 + 77;
        for number in 0..count {
            writer.push(digest(number), &files).unwrap();
        }
        writer.push(digest(5), &files).unwrap();
        assert!(writer.in_memory().is_none());
        let name = writer.finish(directory.path()).unwrap();
        let path = directory.path().join(&name);
        let mut reader = DigestReader::open(&path, directory.path()).unwrap();
        for number in (0..count).step_by(1009).chain([count - 1]) {
            assert!(reader.contains(digest(number)).unwrap());
        }
        assert!(!reader.contains(digest(count)).unwrap());
        let taken: Vec<bool> = (0..3).map(|_| reader.take(digest(5)).unwrap()).collect();
        assert_eq!(taken, [true, true, false]);
        assert!(reader.take(digest(6)).unwrap() && !reader.take(digest(6)).unwrap());
        // Nothing else is left behind, and what was changed is noticed.
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(DigestReader::open(&path, directory.path()).unwrap_err().message().contains("damaged"));
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(DigestReader::open(&path, directory.path()).unwrap_err().message().contains("damaged"));
    }

    #[test]
    fn an_empty_set_and_hexadecimal_digits_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let name = DigestWriter::default().finish(directory.path()).unwrap();
        let mut reader = DigestReader::open(&directory.path().join(name), directory.path()).unwrap();
        assert!(!reader.take(digest(1)).unwrap());
        assert_eq!(Digest::from_hex(&digest(1).to_hex()), Some(digest(1)));
        assert_eq!(Digest::from_hex("zz"), None);
    }
}

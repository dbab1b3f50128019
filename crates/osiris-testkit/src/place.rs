//! A directory of a test's own, and what is in it: the way to see that something changed on disk, or did not.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osiris_core::Result;
use tempfile::TempDir;

/// A temporary directory for whatever a component reads and writes. Cheap to clone; removed with the last clone.
#[derive(Debug, Clone)]
pub struct Place(Arc<TempDir>);

impl Place {
    /// A new, empty directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        Ok(Self(Arc::new(tempfile::tempdir()?)))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, with the directories above it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
        Ok(path)
    }

    /// Every file and directory in it, with a hash of the contents.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn listing(&self) -> Result<Listing> {
        let mut entries = BTreeMap::new();
        list(self.path(), self.path(), &mut entries)?;
        Ok(Listing(entries))
    }

    /// The size of all files in it.
    pub(crate) fn bytes(&self) -> Result<u64> {
        Ok(bytes(self.path())?)
    }
}

/// The files of a [`Place`] at one moment: two are equal when every name and every byte is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing(BTreeMap<PathBuf, Option<u64>>);

impl Listing {
    /// The names, sorted, relative to the place.
    pub fn names(&self) -> Vec<&Path> {
        self.0.keys().map(PathBuf::as_path).collect()
    }

    /// What is different in `later`, in words; nothing when it is the same.
    pub fn difference(&self, later: &Self) -> Option<String> {
        let mut changes = Vec::new();
        for (name, content) in &later.0 {
            match self.0.get(name) {
                None => changes.push(format!("`{}` is new", name.display())),
                Some(before) if before != content => changes.push(format!("`{}` was changed", name.display())),
                Some(_) => {}
            }
        }
        let gone = self.0.keys().filter(|name| !later.0.contains_key(*name));
        changes.extend(gone.map(|name| format!("`{}` is gone", name.display())));
        (!changes.is_empty()).then(|| changes.join(", "))
    }
}

/// The size of all files below `directory`.
fn bytes(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.metadata()?;
        sum += if found.is_dir() { bytes(&entry.path())? } else { found.len() };
    }
    Ok(sum)
}

fn list(root: &Path, directory: &Path, entries: &mut BTreeMap<PathBuf, Option<u64>>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
        if path.is_dir() && !path.is_symlink() {
            entries.insert(name, None);
            list(root, &path, entries)?;
        } else {
            entries.insert(name, Some(content_hash(&path)?));
        }
    }
    Ok(())
}

fn content_hash(path: &Path) -> io::Result<u64> {
    let mut file = fs::File::open(path)?;
    let mut hasher = DefaultHasher::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.write(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_tells_new_changed_and_missing_files() {
        let place = Place::new().unwrap();
        place.write("a", "1").unwrap();
        place.write("d/b", "2").unwrap();
        let before = place.listing().unwrap();
        assert_eq!(before.difference(&place.listing().unwrap()), None);
        place.write("a", "x").unwrap();
        place.write("c", "3").unwrap();
        fs::remove_file(place.join("d/b")).unwrap();
        let changes = before.difference(&place.listing().unwrap()).unwrap();
        assert_eq!(changes, "`a` was changed, `c` is new, `d/b` is gone");
    }
}

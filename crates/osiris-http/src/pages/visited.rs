//! Positions that were visited before, as fingerprints: a list has many pages, and their cursors may be long.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Cursors that led to a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Visited(HashSet<u64>);

impl Visited {
    /// Records a cursor; `None` is the first page.
    pub(super) fn insert(&mut self, cursor: Option<&str>) {
        self.0.insert(fingerprint(cursor));
    }

    /// Whether a cursor was not visited yet.
    pub(super) fn is_new(&self, cursor: &str) -> bool {
        !self.0.contains(&fingerprint(Some(cursor)))
    }
}

fn fingerprint(cursor: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    cursor.hash(&mut hasher);
    hasher.finish()
}

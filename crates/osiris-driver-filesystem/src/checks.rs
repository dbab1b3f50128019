//! Problems that the configurations of several components can have.

use std::collections::BTreeSet;
use std::path::Path;

use osiris_core::Problem;

use crate::client::Location;
use crate::config::{FilesystemConnection, OnBadLines};

/// The problem with the path of an extractor that can be found without I/O.
pub(crate) fn path(path: &str) -> Option<Problem> {
    let error = Location::new(&FilesystemConnection::default(), Path::new(".")).target(path).err()?;
    Some(Problem::error("/path", error.message()).with_hint(error.hint().unwrap_or_default()))
}

/// The names of a list that occur before in it, ignoring case.
pub(crate) fn named_twice(field: &str, names: &[String]) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let repeated = names.iter().enumerate().filter(|(_, name)| !seen.insert(name.to_lowercase()));
    repeated
        .map(|(index, name)| Problem::error(format!("/{field}/{index}"), format!("`{name}` is named twice")))
        .collect()
}

/// The problem with a limit of rejects where there are none.
pub(crate) fn max_rejects(on_bad_lines: OnBadLines, max_rejects: u64) -> Option<Problem> {
    (max_rejects > 0 && on_bad_lines == OnBadLines::Error).then(|| {
        Problem::error("/max_rejects", "`max_rejects` has no effect with `on_bad_lines: error`")
            .with_hint("set `on_bad_lines: reject`")
    })
}

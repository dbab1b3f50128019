//! Resolves all links of a path, whether it exists or not.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// How many links are followed, as on Linux (path_resolution(7)): a loop of links is an error.
const MOST_LINKS: u32 = 40;

/// An absolute path without `.`, `..` and symbolic links. Unlike [`Path::canonicalize`] it supports files that do not
/// exist yet, including targets of dangling links.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut real = PathBuf::new();
    let mut waiting: VecDeque<OsString> = VecDeque::new();
    let mut links = 0;
    push_parts(&path, &mut real, &mut waiting);
    while let Some(part) = waiting.pop_front() {
        if part == ".." {
            real.pop();
            continue;
        }
        real.push(&part);
        if links < MOST_LINKS
            && let Ok(to) = real.read_link()
        {
            links += 1;
            real.pop();
            let rest = std::mem::take(&mut waiting);
            push_parts(&to, &mut real, &mut waiting);
            waiting.extend(rest);
        }
    }
    real
}

/// Queues the parts of a path; an absolute one starts over.
fn push_parts(path: &Path, real: &mut PathBuf, waiting: &mut VecDeque<OsString>) {
    for part in path.components() {
        match part {
            Component::Prefix(_) | Component::RootDir => real.push(part),
            Component::CurDir => {}
            Component::ParentDir => waiting.push_back("..".into()),
            Component::Normal(name) => waiting.push_back(name.to_owned()),
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("out")).unwrap();
        symlink("out", root.join("link")).unwrap();
        symlink("../new/f.csv", root.join("out/dangling")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        for spelling in ["out/f", "out/../out/f", "./out//f", "link/f", "new/../link/./f", "link/../out/f"] {
            assert_eq!(resolved(&root.join(spelling)), root.join("out/f"), "{spelling}");
        }
        assert_eq!(resolved(&root.join("link/dangling")), root.join("new/f.csv"));
        assert_eq!(resolved(Path::new("/../../x")), Path::new("/x"));
        // It ends.
        resolved(&root.join("circle/f"));
    }
}

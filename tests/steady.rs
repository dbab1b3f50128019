//! Texts without what differs from run to run.

use std::path::{Path, PathBuf};

/// A text with run ids as `RUN`, seconds as `TIME` and the directory as `DIR`.
pub fn steady(text: &str, directory: &Path) -> String {
    // The longer of the two spellings first: one may be the beginning of the other.
    let mut spellings: Vec<String> = directory
        .canonicalize()
        .ok()
        .iter()
        .map(PathBuf::as_path)
        .chain([directory])
        .map(|path| path.display().to_string())
        .collect();
    spellings.retain(|spelling| !spelling.is_empty());
    spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
    let text = spellings.iter().fold(text.to_owned(), |text, spelling| text.replace(spelling, "DIR"));
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let mut kept: Vec<String> = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let is_time = is_seconds(word) && matches!(words.get(index + 1), Some(&"s") | Some(&"s,"));
            kept.push(if is_time { "TIME".to_owned() } else { without_run_id(word) });
        }
        kept.join(" ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The cells of a table without its widths, and without the last `timed` columns, which hold times.
pub fn shape(table: &str, timed: usize) -> Vec<Vec<String>> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    let lines = table.lines().filter(|line| !line.trim().is_empty());
    let rows = lines.map(cells).map(|mut row: Vec<String>| {
        row.truncate(row.len().saturating_sub(timed).max(1));
        row
    });
    rows.collect()
}

/// Whether a word is a number of seconds as the program prints it, such as `0.12`.
pub fn is_seconds(word: &str) -> bool {
    let number = word.split_once('.');
    number.is_some_and(|(whole, rest)| {
        rest.len() == 2 && [whole, rest].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// `20241121-013000-1a2b3c`, wherever in the word it stands.
fn without_run_id(word: &str) -> String {
    const SHAPE: &[u8] = b"00000000-000000-ffffff";
    let fits = |bytes: &[u8]| {
        bytes.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'f' => byte.is_ascii_hexdigit(),
            _ => byte == shape,
        })
    };
    let bytes = word.as_bytes();
    match bytes.windows(SHAPE.len()).position(fits) {
        Some(at) => format!("{}RUN{}", &word[..at], &word[at + SHAPE.len()..]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_replaced() {
        let there = tempfile::tempdir().unwrap();
        let gone = there.path().join("gone");
        for directory in [there.path(), &gone] {
            let place = directory.display();
            let text = format!(
                "run 20261121-030335-c00283 in {place}/.osiris/runs/20261121-030335-c00283\n  done a: 5 rows, 0.12 s\n1.50"
            );
            let steady = steady(&text, directory);
            assert_eq!(steady, "run RUN in DIR/.osiris/runs/RUN\n  done a: 5 rows, TIME s\n1.50");
        }
        assert_eq!(steady("as it is", Path::new("")), "as it is");
        assert_eq!(shape("a  b\n\nlong x    1  0.1", 1), [vec!["a"], vec!["long x", "1"]]);
    }
}

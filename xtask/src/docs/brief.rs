//! Whether what docs/brief.md names is there: the page is written by hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{Outcome, workspace};

const PAGE: &str = "docs/brief.md";
/// Drivers that break a rule: their names are those of tests that a macro makes.
const FLAWS: &str = "crates/osiris-testkit/tests/it/flaws.rs";

/// Fails when the page names a file or a test that there is not.
pub(super) fn check() -> Outcome {
    let missing = missing(&workspace::read(PAGE)?, &tests()?);
    if missing.is_empty() { Ok(()) } else { Err(format!("{PAGE} names what is not there: {}", missing.join(", "))) }
}

/// The names of all functions of our crates, and of the flaws.
fn tests() -> Outcome<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for directory in ["crates", "tests", "xtask/src"] {
        collect(&workspace::root().join(directory), &mut names)?;
    }
    let flaws = workspace::read(FLAWS)?;
    let flaw =
        |line: &str| line.strip_prefix("    ").and_then(|line| line.split_once(": ")).map(|(name, _)| name.to_owned());
    names.extend(flaws.lines().filter_map(flaw));
    Ok(names)
}

fn collect(directory: &Path, names: &mut BTreeSet<String>) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    for entry in directory.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(&path, names)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).map_err(failed)?;
            let is_word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            names.extend(source.split("fn ").skip(1).map(|rest| rest.chars().take_while(is_word).collect::<String>()));
        }
    }
    Ok(())
}

/// What stands in the columns of places and tests and is not there. A name that ends in `*` stands for all that begin so.
fn missing(page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut missing = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| G") || line.starts_with("| P")) {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let [item, _, places, names] = cells.as_slice() else {
            missing.push(format!("four columns of `{row}`"));
            continue;
        };
        let is_test = |name: &str| match name.strip_suffix('*') {
            Some(start) => tests.range(start.to_owned()..).next().is_some_and(|test| test.starts_with(start)),
            None => tests.contains(name),
        };
        let of_item = |name: &str| format!("{item}: {name}");
        missing.extend(quoted(places).filter(|place| !workspace::root().join(place).exists()).map(of_item));
        missing.extend(quoted(names).filter(|name| !is_test(name)).map(of_item));
    }
    missing
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_names_is_there() {
        check().unwrap();
    }

    #[test]
    fn the_page_has_every_item() {
        let page = workspace::read(PAGE).unwrap();
        for number in 1..=89 {
            assert!(page.contains(&format!("\n| G{number} | ")), "G{number}");
        }
        let lettered = "abcdefghijk".chars().map(|letter| format!("10{letter}"));
        for number in (1..=24).filter(|number| *number != 10).map(|number| number.to_string()).chain(lettered) {
            assert!(page.contains(&format!("\n| P{number} | ")), "P{number}");
        }
    }

    #[test]
    fn a_file_or_a_test_that_is_not_there_is_named_with_its_item() {
        let tests = BTreeSet::from(["g1_a".to_owned(), "other".to_owned()]);
        let page = "| item | asks for | place | tests |\n| --- | --- | --- | --- |\n\
                    | G1 | x | `Cargo.toml`, `no.rs` | `g1_*`, `other` |\n| P1 | x | [decision](x) | `g2_*`, `gone` |\n| G2 | x | - | - |\n";
        assert_eq!(missing(page, &tests), ["G1: no.rs", "P1: g2_*", "P1: gone"]);
    }
}

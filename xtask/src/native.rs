//! Whether every command that this project tells people to type compiles the same DuckDB.
//!
//! Cargo builds a build script's own dependencies with the features that the selected packages ask for. Were one of them, say
//! `syn`, to differ between `cargo run -p osiris-cli` and `cargo test --workspace`, DuckDB would be compiled once for each: 20
//! minutes, without an error to tell why. Comparing the trees takes a second.

use std::collections::BTreeSet;

use crate::{Outcome, ci, shell, workspace};

/// The crate that compiles DuckDB.
const NATIVE: &str = "libduckdb-sys ";

/// Fails when two selections of packages would compile DuckDB differently.
pub(crate) fn check() -> Outcome {
    let expected = native_tree(&["--workspace"])?;
    if expected.is_empty() {
        return Err(format!("{NATIVE}is not among the dependencies of the workspace"));
    }
    for selection in selections()? {
        let words: Vec<&str> = selection.split(' ').collect();
        let differences = differences(&expected, &native_tree(&words)?);
        if !differences.is_empty() {
            return Err(format!(
                "`cargo build {selection}` would compile DuckDB a second time, because of other features:\n  {}\n\
                 hint: find who asks for them with `cargo tree -e features -i <crate>`",
                differences.join("\n  ")
            ));
        }
    }
    Ok(())
}

/// What people and the other tasks build besides the whole workspace.
fn selections() -> Outcome<Vec<String>> {
    let mut selections =
        vec!["-p osiris-cli".to_owned(), "-p osiris --all-features".to_owned(), ci::WITH_DUCKDB.to_owned()];
    selections.extend(
        workspace::drivers()?
            .iter()
            .map(|driver| format!("-p osiris-driver-{driver} -p osiris-e2e --features osiris-driver-{driver}/bundled")),
    );
    Ok(selections)
}

fn native_tree(selection: &[&str]) -> Outcome<BTreeSet<String>> {
    const TREE: &[&str] =
        &["tree", "--locked", "-e", "normal,build,dev", "--no-dedupe", "--prefix", "depth", "-f", " {p} {f}"];
    let text = shell::capture(&mut shell::cargo(&[TREE, selection].concat()))?;
    Ok(below(&text, NATIVE).into_iter().collect())
}

/// The lines of a tree, depths in front, from the first that begins with `package` to its last descendant; without the depths.
fn below(tree: &str, package: &str) -> Vec<String> {
    let split = |line: &str| {
        let (depth, text) = line.split_once(' ')?;
        Some((depth.parse::<usize>().ok()?, text.to_owned()))
    };
    let mut lines = tree.lines().filter_map(split).skip_while(|(_, text)| !text.starts_with(package));
    let Some((depth, first)) = lines.next() else { return Vec::new() };
    std::iter::once(first).chain(lines.take_while(|(deeper, _)| *deeper > depth).map(|(_, text)| text)).collect()
}

fn differences(expected: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<String> {
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>, mark: &str| {
        one.difference(other).map(|line| format!("{mark} {line}")).collect::<Vec<_>>()
    };
    [only(expected, found, "workspace:"), only(found, expected, "here:     ")].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descendants_of_one_package_are_found() {
        let tree = "0 osiris v1 \n1 duckdb v1 \n2 libduckdb-sys v1 bundled\n3 syn v3 full\n4 quote v1 \n2 arrow v60 \n";
        assert_eq!(below(tree, NATIVE), ["libduckdb-sys v1 bundled", "syn v3 full", "quote v1 "]);
        assert!(below("0 osiris v1 \n", NATIVE).is_empty());
    }

    #[test]
    fn another_feature_is_a_difference() {
        let set = |line: &str| BTreeSet::from([line.to_owned()]);
        assert!(differences(&set("syn v3 full"), &set("syn v3 full")).is_empty());
        assert_eq!(
            differences(&set("syn v3 full"), &set("syn v3 full,visit-mut")),
            ["workspace: syn v3 full", "here:      syn v3 full,visit-mut"]
        );
    }
}

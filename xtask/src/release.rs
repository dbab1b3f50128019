//! `cargo xtask release`: whether the crates can be published, and with `--execute` their publication.

use std::process::Command;

use crate::args::Args;
use crate::{Outcome, advisories, packages, shell, workspace};

pub(crate) fn main(mut args: Args) -> Outcome {
    let execute = args.flag("--execute");
    args.finish()?;
    let version = workspace::version()?;
    check_clean(&shell::capture(Command::new("git").current_dir(workspace::root()).args(["status", "--porcelain"]))?)?;
    check_changelog(&workspace::read("CHANGELOG.md")?, &version)?;
    check_versions(&workspace::read("Cargo.toml")?, &version)?;
    advisories::require()?;
    packages::check()?;
    println!("version {version}, to be published in this order:");
    for package in workspace::packages()? {
        println!("  {}", package.name);
    }
    if !execute {
        println!("nothing was published: `cargo xtask release --execute` does it");
        return Ok(());
    }
    // Cargo finds the order and waits for the registry by itself; the packages were checked above.
    shell::run(&mut shell::cargo(&["publish", "--workspace", "--locked", "--no-verify"]))
}

fn check_clean(status: &str) -> Outcome {
    match status.lines().next() {
        None => Ok(()),
        Some(first) => Err(format!("the checkout is not clean: {}\nhint: commit first", first.trim())),
    }
}

/// The version has its heading, with a date and at least one line below.
fn check_changelog(changelog: &str, version: &str) -> Outcome {
    let heading = format!("## {version} - ");
    let mut lines = changelog.lines().skip_while(|line| !line.starts_with(&heading));
    if lines.next().is_none() {
        return Err(format!("CHANGELOG.md: no heading `{heading}<date>`\nhint: rename `## Unreleased`"));
    }
    let has_text = lines.take_while(|line| !line.starts_with("## ")).any(|line| !line.trim().is_empty());
    if has_text { Ok(()) } else { Err(format!("CHANGELOG.md: nothing below `{heading}...`")) }
}

/// Our crates ask for each other at the version that is about to be published.
fn check_versions(manifest: &str, version: &str) -> Outcome {
    let wanted = format!("version = \"{version}\"");
    let wrong: Vec<&str> =
        manifest.lines().filter(|line| line.contains("path = \"crates/") && !line.contains(&wanted)).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("Cargo.toml: these do not ask for {version}:\n{}", wrong.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_needs_its_heading_with_text_below() {
        check_changelog("# C\n\n## 1.0.0 - 2026-01-01\n\n* text\n\n## 0.9.0 - 2025-01-01\n", "1.0.0").unwrap();
        assert!(check_changelog("## Unreleased\n\n* text\n", "1.0.0").unwrap_err().contains("## 1.0.0 - "));
        assert!(
            check_changelog("## 1.0.0 - 2026-01-01\n\n## 0.9.0 - x\ntext\n", "1.0.0")
                .unwrap_err()
                .contains("nothing below")
        );
    }

    #[test]
    fn our_crates_ask_for_one_another_at_one_version() {
        let version = workspace::version().unwrap();
        check_versions(&workspace::read("Cargo.toml").unwrap(), &version).unwrap();
        assert!(check_versions("osiris-x = { path = \"crates/x\", version = \"0.0.9\" }", &version).is_err());
    }

    #[test]
    fn uncommitted_changes_are_refused() {
        check_clean("").unwrap();
        assert!(check_clean(" M README.md\n").unwrap_err().contains("README.md"));
    }
}

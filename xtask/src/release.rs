//! `cargo xtask release`: whether the crates can be published, and with `--execute` their publication.

use std::process::Command;

use crate::args::Args;
use crate::duckdb::Build;
use crate::workspace::{self, Package};
use crate::{Outcome, advisories, packages, shell};

pub(crate) fn main(mut args: Args) -> Outcome {
    let execute = args.flag("--execute");
    args.finish()?;
    let version = workspace::version()?;
    check_clean(&shell::capture(Command::new("git").current_dir(workspace::root()).args(["status", "--porcelain"]))?)?;
    check_changelog(&workspace::read("CHANGELOG.md")?, &version)?;
    check_versions(&workspace::read("Cargo.toml")?, &version)?;
    advisories::require()?;
    packages::check()?;
    check_oldest_compiler()?;
    let published = workspace::packages()?;
    let names: Vec<String> =
        published.iter().filter_map(|package| foreign(package).transpose()).collect::<Outcome<_>>()?;
    let unnamed = published.iter().filter(|package| !package.sets("repository")).map(|package| package.name.as_str());
    let unnamed: Vec<&str> = unnamed.collect();
    println!("version {version}, to be published in this order:");
    for package in &published {
        println!("  {}", package.name);
    }
    if !names.is_empty() {
        return Err(format!(
            "nothing was published, since these names belong to other projects:\n  {}\n\
             hint: rename the package and keep its library: `[lib] name = \"osiris\"`",
            names.join("\n  ")
        ));
    }
    if !unnamed.is_empty() {
        return Err(format!("nothing was published: `repository` is missing in Cargo.toml of {}", unnamed.join(", ")));
    }
    if !execute {
        println!("nothing was published: `cargo xtask release --execute` does it");
        return Ok(());
    }
    // Cargo finds the order and waits for the registry by itself; the packages were checked above.
    shell::run(&mut shell::cargo(&["publish", "--workspace", "--locked", "--no-verify"]))
}

/// What the registry has under the name of the package, if that is not ours: a publication would fail half-way.
fn foreign(package: &Package) -> Outcome<Option<String>> {
    let mut info = shell::cargo(&["info", "--registry", "crates-io", "--color", "never", &package.name]);
    // Not in the workspace, where the name is that of a member.
    let output = info.current_dir(std::env::temp_dir()).output().map_err(|error| format!("cargo info: {error}"))?;
    let said = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    match output.status.success() {
        true => Ok(other_than(package, &said)),
        false if said.contains("could not find") => Ok(None),
        false => Err(format!("the registry did not tell whether `{}` is free:\n{}", package.name, said.trim())),
    }
}

/// What `cargo info` says of a package of the name, if its description is another.
fn other_than(package: &Package, said: &str) -> Option<String> {
    let mut lines =
        said.lines().skip_while(|line| line.split([' ', '#']).next() != Some(package.name.as_str())).skip(1);
    let description = lines.next().unwrap_or_default();
    let ours = package.manifest.lines().any(|line| line == format!("description = {description:?}"));
    let version = said.lines().find_map(|line| line.strip_prefix("version: ")).unwrap_or("?");
    (!ours).then(|| format!("{} {version}: {description}", package.name))
}

/// The oldest compiler that is supported compiles everything.
fn check_oldest_compiler() -> Outcome {
    let version = oldest_compiler(&workspace::read("Cargo.toml")?)?;
    let mut check = Command::new("rustup");
    check.args(["run", "--install", &version, "cargo", "check", "--locked", "--quiet", "--all-targets"]);
    shell::run(check.args(Build::of_checkout().workspace()).current_dir(workspace::root()))
        .map_err(|error| format!("{error}\nhint: `rust-version` in Cargo.toml says that Rust {version} compiles this"))
}

fn oldest_compiler(manifest: &str) -> Outcome<String> {
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    version.map(str::to_owned).ok_or_else(|| "Cargo.toml: no `rust-version`".to_owned())
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
    fn p21_the_oldest_compiler_is_that_of_the_workspace() {
        assert_eq!(oldest_compiler("[workspace.package]\nrust-version = \"1.90\"\n").unwrap(), "1.90");
        assert!(oldest_compiler(&workspace::read("Cargo.toml").unwrap()).is_ok());
    }

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
    fn a_name_that_another_project_has_is_found() {
        let packages = workspace::packages().unwrap();
        let facade = packages.iter().find(|package| package.name == "osiris").unwrap();
        let theirs = "osiris\nFuture thread per core async runtime\nversion: 0.0.0\nlicense: Apache-2.0\n";
        assert_eq!(other_than(facade, theirs).as_deref(), Some("osiris 0.0.0: Future thread per core async runtime"));
        let line = facade.manifest.lines().find_map(|line| line.strip_prefix("description = \"")).unwrap();
        let ours = format!("osiris #etl\n{}\nversion: 0.1.0\n", line.trim_end_matches('"'));
        assert_eq!(other_than(facade, &ours), None);
    }

    #[test]
    fn uncommitted_changes_are_refused() {
        check_clean("").unwrap();
        assert!(check_clean(" M README.md\n").unwrap_err().contains("README.md"));
    }
}

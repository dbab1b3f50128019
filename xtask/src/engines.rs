//! The engines of GraphQL APIs that the tests read from: packages of npm and of the Python index, in a directory of their own.
//! No script of a package is run when it is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, pypi, shell, workspace};

/// Of when the packages are: those of npm are the newest of that day that the named ones allow. The tests look for it.
const EDITION: &str = "2026-06-01";

/// What is asked of npm, and the directory for it. PostGraphile 4 wants an older `graphql` than the others.
const NPM: [(&str, &[&str]); 2] = [
    ("engines", &["graphql@16.11.0", "graphql-yoga@5.16.0", "@apollo/server@5.0.0"]),
    ("postgraphile", &["postgraphile@4.14.1"]),
];

/// The packages of Python with their checksums.
const REQUIREMENTS: &str = "stand-ins/engines/requirements.txt";

/// Where the tests look for them.
fn directory() -> PathBuf {
    workspace::programs_dir(false).join(format!("graphql-engines-{EDITION}"))
}

/// Whether they are there, whole.
pub(crate) fn are_there() -> bool {
    directory().is_dir()
}

/// Whether this machine can fetch them.
pub(crate) fn can_fetch() -> bool {
    let has = |program: &str| shell::find_program(program, &[]).is_some() || shell::can_apt_install();
    has("npm") && has("python3")
}

/// Fetches them.
pub(crate) fn fetch() -> Outcome {
    if shell::find_program("npm", &[]).is_none() {
        shell::apt_install("npm")?;
    }
    pypi::ensure_pip()?;
    let directory = directory();
    let unfinished = directory.with_extension("unfinished");
    let failed = |error: std::io::Error| format!("{}: {error}", unfinished.display());
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    for (below, packages) in NPM {
        let place = unfinished.join(below);
        fs::create_dir_all(&place).map_err(failed)?;
        fs::write(place.join("package.json"), "{\"private\": true}\n").map_err(failed)?;
        shell::run(npm(&place).args(packages))?;
    }
    shell::run(pip(&unfinished.join("strawberry")).arg(workspace::root().join(REQUIREMENTS)))?;
    fs::rename(&unfinished, &directory).map_err(failed)
}

fn npm(place: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(place).args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
    npm.args(["--no-package-lock", "--save-exact", "--before", EDITION]);
    npm
}

fn pip(place: &Path) -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
    pip.args(["--only-binary=:all:", "--target"]).arg(place).arg("--requirement");
    pip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_look_for_the_same_edition() {
        let tests = fs::read_to_string(workspace::root().join("stand-ins/src/graphql_engines.rs")).unwrap();
        assert!(tests.contains(&format!("const EDITION: &str = \"{EDITION}\";")), "another edition");
    }

    #[test]
    fn every_package_of_python_is_named_with_its_version_and_checksum() {
        let list = fs::read_to_string(workspace::root().join(REQUIREMENTS)).unwrap();
        let lines: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 5 && lines.iter().all(|line| line.contains("==") && line.contains("--hash=sha256:")));
    }

    /// By hand: `CARGO_TARGET_DIR` may name another directory.
    #[test]
    #[ignore = "fetches from the registries"]
    fn the_engines_are_fetched() {
        fetch().unwrap();
        assert!(are_there());
    }
}

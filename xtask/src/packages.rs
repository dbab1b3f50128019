//! Whether each published crate can be packaged, and whether what is packaged is all that it takes to compile, and to write a driver
//! elsewhere.
//!
//! `cargo package` would build each package from nothing, without the profile of this workspace: DuckDB once more, for 20
//! minutes, unoptimised. So the packages are made unverified, unpacked into a workspace of their own with the same profile,
//! and checked there, which compiles no C++ and links nothing. What a package forgot to include fails there just the same.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::workspace::{self, Package};
use crate::{Outcome, outside, shell};

/// What a manifest must say besides its name.
const KEYS: &[&str] =
    &["version", "edition", "rust-version", "description", "license", "readme", "keywords", "categories"];

/// What must lie in every package: links to the files of the workspace, which a package holds in full.
pub(crate) const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Packages every published crate and compiles them from their packages.
pub(crate) fn check() -> Outcome {
    let packages = workspace::packages()?;
    check_manifests(&packages)?;
    let version = workspace::version()?;
    let mut package = shell::cargo(&["package", "--quiet", "--locked", "--no-verify", "--allow-dirty", "--workspace"]);
    for name in workspace::unpublished()? {
        package.args(["--exclude", &name]);
    }
    shell::run(&mut package)?;
    let directory = workspace::target_dir().join("packages");
    unpack(&packages, &version, &directory)?;
    let mut check = shell::cargo(&["check", "--quiet", "--workspace", "--no-default-features"]);
    shell::run(check.current_dir(&directory).env("CARGO_TARGET_DIR", workspace::target_dir()))
        .map_err(|error| format!("{error}\nhint: a file that the crate needs lies outside its directory"))?;
    let sources = sources(&packages, &version, &directory, &workspace::read("Cargo.toml")?);
    outside::check(&directory.with_file_name("outside"), &sources)
}

/// Every manifest says what a registry wants to know.
pub(crate) fn check_manifests(packages: &[Package]) -> Outcome {
    let missing: Vec<String> = packages
        .iter()
        .flat_map(|package| KEYS.iter().filter(|key| !package.sets(key)).map(|key| format!("{}: {key}", package.name)))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("missing in Cargo.toml: {}", missing.join(", "))) }
}

fn unpack(packages: &[Package], version: &str, directory: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(failed)?;
    }
    fs::create_dir_all(directory).map_err(failed)?;
    for package in packages {
        let archive = workspace::target_dir().join("package").join(format!("{}-{version}.crate", package.name));
        // Every archive has the same time in it: cargo would take what it built of an earlier one for built of this one.
        shell::run(Command::new("tar").arg("-xmzf").arg(&archive).arg("-C").arg(directory))?;
        let unpacked = directory.join(format!("{}-{version}", package.name));
        if let Some(missing) = LICENCES.iter().find(|name| !unpacked.join(name).is_file()) {
            return Err(format!("the package of {} lacks {missing}: link it to that of the workspace", package.name));
        }
    }
    fs::write(directory.join("Cargo.toml"), manifest(packages, version, &workspace::read("Cargo.toml")?))
        .map_err(failed)?;
    fs::write(directory.join("Cargo.lock"), workspace::read("Cargo.lock")?).map_err(failed)
}

/// A workspace of the unpacked crates that finds them here and not in the registry, with the profiles of ours.
fn manifest(packages: &[Package], version: &str, ours: &str) -> String {
    let members: Vec<String> = packages.iter().map(|package| format!("\"{}-{version}\"", package.name)).collect();
    let sources = sources(packages, version, Path::new(""), ours);
    format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n{sources}", members.join(", "))
}

/// What makes a manifest find the crates unpacked in `directory` and not in the registry, and the profiles of ours.
fn sources(packages: &[Package], version: &str, directory: &Path, ours: &str) -> String {
    let place = |package: &Package| directory.join(format!("{}-{version}", package.name));
    let patches: String =
        packages.iter().map(|package| format!("{} = {{ path = {:?} }}\n", package.name, place(package))).collect();
    let profiles = ours.find("\n[profile").map_or("", |at| &ours[at..]);
    format!("[patch.crates-io]\n{patches}{profiles}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_manifests_are_complete() {
        check_manifests(&workspace::packages().unwrap()).unwrap();
    }

    #[test]
    fn the_unpacked_workspace_keeps_the_profiles_that_spare_a_second_duckdb() {
        let packages = workspace::packages().unwrap();
        let text = manifest(&packages, "1.2.3", &workspace::read("Cargo.toml").unwrap());
        assert!(text.contains("osiris-core = { path = \"osiris-core-1.2.3\" }"), "{text}");
        assert!(text.contains("[profile.dev.package.libduckdb-sys]"), "{text}");
        assert!(!text.contains("[workspace.dependencies]"), "{text}");
    }
}

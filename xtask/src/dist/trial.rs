//! A trial of what was made: unpacked or installed in an empty directory, with nothing of our environment, it must do what a newcomer
//! does first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CHECKSUMS, Release, archive, empty, licences, remove, said_by};
use crate::{Outcome, shell};

/// Unpacks the archive and uses its program.
pub(super) fn of_archive(release: &Release, archive: &Path) -> Outcome {
    check_sums(&release.out)?;
    let place = place(release)?;
    shell::run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&place))?;
    let unpacked = place.join(release.name());
    check_files(&unpacked, &archive::required(release.prebuilt))?;
    use_it(release, &unpacked.join("osiris"), &place)?;
    remove(&place)
}

/// Installs the wheel, without asking an index, and uses its program.
pub(super) fn of_wheel(release: &Release, wheel: &Path) -> Outcome {
    let place = place(release)?;
    let environment = place.join("venv");
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(&environment)).map_err(|error| {
        format!("{error}\nhint: install venv (Debian: python3-venv), or leave the wheel out: --skip wheel")
    })?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]).arg(wheel);
    shell::run(&mut pip)?;
    let contents = shell::capture(Command::new("python3").args(["-m", "zipfile", "-l"]).arg(wheel))?;
    for name in licences::FILES {
        if !contents.contains(&format!("licenses/{}/{name}", licences::DIRECTORY)) {
            return Err(format!("{} is not in the wheel: look at `license-files` in pyproject.toml", name));
        }
    }
    use_it(release, &environment.join("bin/osiris"), &place)?;
    remove(&place)
}

/// Whether the files are those that the checksums are of.
pub(super) fn check_sums(out: &Path) -> Outcome {
    shell::run(Command::new("sha256sum").current_dir(out).args(["--check", "--quiet", "--strict", CHECKSUMS]))
}

fn place(release: &Release) -> Outcome<PathBuf> {
    let place = release.out.join("trial");
    empty(&place)?;
    Ok(place)
}

fn check_files(directory: &Path, required: &[String]) -> Outcome {
    let is_missing = |path: &&String| !fs::metadata(directory.join(path)).is_ok_and(|file| file.len() > 0);
    let missing: Vec<&str> = required.iter().filter(is_missing).map(String::as_str).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("missing or empty in the archive: {}", missing.join(", "))) }
}

/// What a newcomer types.
fn use_it(release: &Release, program: &Path, place: &Path) -> Outcome {
    let project = place.join("project");
    empty(&project)?;
    let version = said_by(program, &["--version"], &project)?;
    if version.trim() != format!("osiris {}", release.version) {
        return Err(format!("`osiris --version` printed `{}`, expected version {}", version.trim(), release.version));
    }
    said_by(program, &["init"], &project)?;
    said_by(program, &["run", "pipeline.yaml"], &project)?;
    if fs::read_dir(project.join("out")).is_ok_and(|mut files| files.next().is_some()) {
        return Ok(());
    }
    Err("`osiris run` wrote nothing to `out`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn directory(name: &str) -> PathBuf {
        workspace::target_dir().join(format!("trial-{name}-{}", std::process::id()))
    }

    #[test]
    fn missing_and_empty_files_are_named() {
        let directory = directory("files");
        empty(&directory).unwrap();
        fs::write(directory.join("full"), "x").unwrap();
        fs::write(directory.join("empty"), "").unwrap();
        let required = ["full", "empty", "man/absent"].map(str::to_owned);
        let error = check_files(&directory, &required).unwrap_err();
        assert_eq!(error, "missing or empty in the archive: empty, man/absent");
        remove(&directory).unwrap();
    }

    #[test]
    fn a_program_that_does_not_do_what_a_newcomer_types_is_refused() {
        let place = directory("use");
        empty(&place).unwrap();
        let release = |version: &str| Release {
            version: version.to_owned(),
            target: String::new(),
            prebuilt: false,
            out: place.clone(),
        };
        let program = place.join("osiris");
        let script = |run: &str| {
            let text = format!("#!/bin/sh\ncase $1 in --version) echo osiris 1.0.0;; run) {run};; esac\n");
            fs::write(&program, text).unwrap();
            shell::run(Command::new("chmod").arg("755").arg(&program)).unwrap();
        };
        script("mkdir out && test -z \"$USER\" && echo rows > out/rows.csv");
        use_it(&release("1.0.0"), &program, &place).unwrap();
        assert!(use_it(&release("2.0.0"), &program, &place).unwrap_err().contains("expected version 2.0.0"));
        script("true");
        assert!(use_it(&release("1.0.0"), &program, &place).unwrap_err().contains("wrote nothing"));
        script("exit 1");
        assert!(use_it(&release("1.0.0"), &program, &place).unwrap_err().contains("osiris run pipeline.yaml"));
        remove(&place).unwrap();
    }
}

//! The archive: the program with its manual pages, completions and licences, in a directory of the archive's name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Release, empty, licences, remove, said_by};
use crate::docs::cli;
use crate::{Outcome, duckdb, shell, workspace};

/// Files of the checkout that are in it.
const TEXTS: [&str; 4] = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
/// The shells with the names by which they find their completions.
const COMPLETIONS: [(&str, &str); 5] = [
    ("bash", "osiris.bash"),
    ("elvish", "osiris.elv"),
    ("fish", "osiris.fish"),
    ("powershell", "_osiris.ps1"),
    ("zsh", "_osiris"),
];

/// Makes the archive and returns its path.
pub(super) fn make(release: &Release, program: &Path) -> Outcome<PathBuf> {
    let directory = release.out.join(release.name());
    empty(&directory)?;
    let staged = directory.join("osiris");
    copy(program, &staged)?;
    if release.prebuilt {
        duckdb::bring_along(&staged)?;
    }
    for name in TEXTS {
        copy(&workspace::root().join(name), &directory.join(name))?;
    }
    licences::write(&directory.join(licences::DIRECTORY))?;
    let osiris = |words: &[&str]| said_by(&staged, words, &directory);
    for (path, text) in made_by_the_program(&osiris)? {
        write(&directory.join(path), &text)?;
    }
    let archive = release.out.join(format!("{}.tar.gz", release.name()));
    pack(release, &archive)?;
    remove(&directory)?;
    Ok(archive)
}

/// What must be in an archive, beside the licences: paths in its directory.
pub(super) fn required(prebuilt: bool) -> Vec<String> {
    let mut files = vec!["osiris".to_owned()];
    files.extend(TEXTS.map(str::to_owned));
    files.extend(licences::FILES.map(|name| format!("{}/{name}", licences::DIRECTORY)));
    files.extend(COMPLETIONS.map(|(_, name)| format!("completions/{name}")));
    files.extend([manual_page(&[]), manual_page(&["run".to_owned()])]);
    if prebuilt {
        files.extend(duckdb::LIBRARIES.map(str::to_owned));
    }
    files
}

/// The completions of each shell and the manual page of each command, by path.
fn made_by_the_program(osiris: &dyn Fn(&[&str]) -> Outcome<String>) -> Outcome<Vec<(String, String)>> {
    let mut files = Vec::new();
    for (shell, name) in COMPLETIONS {
        files.push((format!("completions/{name}"), osiris(&["completions", shell])?));
    }
    for (command, _) in cli::commands(osiris)? {
        let words = std::iter::once("man").chain(command.iter().map(String::as_str));
        files.push((manual_page(&command), osiris(&words.collect::<Vec<_>>())?));
    }
    Ok(files)
}

fn manual_page(command: &[String]) -> String {
    let name = std::iter::once("osiris").chain(command.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
    format!("man/man1/{name}.1")
}

/// Of the same files the same archive: sorted, owned by nobody in particular, as old as the commit.
fn pack(release: &Release, archive: &Path) -> Outcome {
    let mut log = Command::new("git");
    let time = shell::capture(log.current_dir(workspace::root()).args(["log", "-1", "--format=%ct"]))?;
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+w,go-w,a+rX"]);
    tar.arg(format!("--mtime=@{}", time.trim())).arg("-C").arg(&release.out).arg("-czf").arg(archive);
    shell::run(tar.arg(release.name()))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to).map(drop).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn write(file: &Path, text: &str) -> Outcome {
    let parent = file.parent().unwrap_or(file);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(file, text))
        .map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_in_the_archive_of_the_prebuilt_program_only() {
        let library = "libduckdb.so".to_owned();
        assert!(required(true).contains(&library) && !required(false).contains(&library));
    }

    #[test]
    fn each_command_has_its_page_and_each_shell_its_completions() {
        let fake = |words: &[&str]| {
            Ok(match words {
                ["--help"] => "Usage\n\nCommands:\n  run   Runs\n  runs  Lists\n".to_owned(),
                ["runs", "--help"] => "Commands:\n  list  Lists\n".to_owned(),
                _ => words.join(" "),
            })
        };
        let files = made_by_the_program(&fake).unwrap();
        let text = |path: &str| files.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str());
        assert_eq!(text("man/man1/osiris.1"), Some("man"));
        assert_eq!(text("man/man1/osiris-runs-list.1"), Some("man runs list"));
        assert_eq!(text("completions/_osiris"), Some("completions zsh"));
        let made_elsewhere = |path: &String| !path.contains('/') || path.starts_with(licences::DIRECTORY);
        let missing: Vec<String> =
            required(false).into_iter().filter(|path| !made_elsewhere(path) && text(path).is_none()).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn an_archive_is_the_same_for_the_same_files() {
        let out = workspace::target_dir().join(format!("pack-{}", std::process::id()));
        let (version, target) = ("1.0.0".to_owned(), "here".to_owned());
        let release = Release { version, target, prebuilt: false, out: out.clone() };
        let packed = |name: &str| {
            empty(&out.join(release.name())).unwrap();
            write(&out.join(release.name()).join("a/b"), "text").unwrap();
            pack(&release, &out.join(name)).unwrap();
            fs::read(out.join(name)).unwrap()
        };
        empty(&out).unwrap();
        assert!(packed("first.tar.gz") == packed("second.tar.gz"));
        let listed = shell::capture(Command::new("tar").arg("-tzf").arg(out.join("first.tar.gz"))).unwrap();
        assert_eq!(listed, "osiris-1.0.0-here/\nosiris-1.0.0-here/a/\nosiris-1.0.0-here/a/b\n");
        remove(&out).unwrap();
    }
}

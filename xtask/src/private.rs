//! A home and a directory for temporary files that are nobody else's: tests cannot use what happens to be on a machine, and what
//! they leave behind is seen.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, shell};

/// Both directories; removed when dropped.
pub(crate) struct Private {
    directory: PathBuf,
}

/// Where the test servers that cannot run as root keep what they copy for each test; a `run-*` below is of one test.
const SERVICES: &str = "osiris-services";
/// What cargo and rustup keep in a home: they go on with that of the user.
const KEPT: [(&str, &str); 2] = [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")];
/// Where programs look for settings and caches besides the home.
const HIDDEN: [&str; 4] = ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"];

impl Private {
    pub(crate) fn new() -> Outcome<Self> {
        let directory = shell::capture(Command::new("mktemp").args(["-d", "-t", "osiris-ci-XXXXXXXX"]))?;
        let private = Self { directory: PathBuf::from(directory.trim()) };
        // Servers that refuse to run as root run as another user, and have to get to their files.
        shell::run(Command::new("chmod").arg("755").arg(&private.directory))?;
        for (directory, mode) in [(private.home(), "755"), (private.temporary(), "1777")] {
            fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            shell::run(Command::new("chmod").arg(mode).arg(&directory))?;
        }
        Ok(private)
    }

    /// Lets a command see nothing else.
    pub(crate) fn enter(&self, command: &mut Command) {
        let old = std::env::var_os("HOME").map(PathBuf::from);
        for (name, directory) in KEPT {
            let kept: Option<OsString> =
                std::env::var_os(name).or_else(|| old.as_ref().map(|home| home.join(directory).into_os_string()));
            if let Some(kept) = kept {
                command.env(name, kept);
            }
        }
        HIDDEN.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.env("HOME", self.home()).env("TMPDIR", self.temporary());
    }

    /// Fails when something is left in them.
    pub(crate) fn close(self) -> Outcome {
        let services = self.temporary().join(SERVICES);
        let mut left = [entries(&self.home()), entries(&self.temporary())].concat();
        left.retain(|path| *path != services);
        let is_of_a_test =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("run-"));
        left.extend(entries(&services).into_iter().filter(is_of_a_test));
        if left.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = left.iter().map(|path| path.display().to_string()).collect();
        Err(format!("the tests left this behind:\n  {}", left.join("\n  ")))
    }

    fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    fn temporary(&self) -> PathBuf {
        self.directory.join("tmp")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            println!("{} could not be removed: {error}", self.directory.display());
        }
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    directory.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_leaves_behind_is_named() {
        let private = Private::new().unwrap();
        let directory = private.directory.clone();
        let mut command = Command::new("sh");
        command.args(["-c", "touch \"$TMPDIR/litter\" && test -z \"$(ls -A \"$HOME\")\""]);
        private.enter(&mut command);
        shell::run(&mut command).unwrap();
        let error = private.close().unwrap_err();
        assert!(error.contains("litter"), "{error}");
        assert!(!directory.exists());
    }

    #[test]
    fn nothing_is_left_but_what_servers_are_copied_from() {
        Private::new().unwrap().close().unwrap();
        for (name, is_well) in [("postgres-15.18", true), ("run-postgres-7-0", false)] {
            let private = Private::new().unwrap();
            fs::create_dir_all(private.temporary().join(SERVICES).join(name)).unwrap();
            assert_eq!(private.close().is_ok(), is_well, "{name}");
        }
    }
}

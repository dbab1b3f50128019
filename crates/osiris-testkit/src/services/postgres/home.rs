//! Where a PostgreSQL of the tests lives, and as whom: the program refuses to run as root, and another user cannot reach what is
//! below root's home.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use osiris_core::{Error, Result};

use crate::services::template;

/// The password of the user `postgres`: everything that has broken a connection string before.
pub(super) const PASSWORD: &str = "p@s:s/w+o=r%d 'x' \"y\" ů";
/// A directory with programs of one's own, such as those of another version.
const PROGRAMS: &str = "OSIRIS_TEST_POSTGRES_PROGRAMS";
/// Whom root gives the server to.
const USER: &str = "postgres";

/// A directory for servers, and the user they run as, where that is not the tests' own.
pub(in crate::services) struct Home {
    pub(in crate::services) directory: PathBuf,
    pub(in crate::services) user: Option<&'static str>,
}

impl Home {
    pub(in crate::services) fn find() -> Result<Self> {
        let services = template::services_dir()?;
        if fs::metadata(&services)?.uid() != 0 {
            return Ok(Self { directory: services, user: None });
        }
        let directory = std::env::temp_dir().join("osiris-services");
        fs::create_dir_all(&directory)?;
        Ok(Self { directory, user: Some(USER) })
    }

    /// A new directory of this name that the server may write to.
    pub(in crate::services) fn make(&self, name: &str) -> Result<PathBuf> {
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory)?;
        self.give(&directory)?;
        Ok(directory)
    }

    /// Gives files to the server's user.
    pub(in crate::services) fn give(&self, path: &Path) -> Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        ran(Command::new("chown").arg("-R").arg(format!("{user}:")).arg(path))
    }

    /// The data directory that is made once and copied for every server.
    pub(super) fn prepared(&self) -> Result<PathBuf> {
        let version = Command::new(program("postgres")).arg("--version").output().map_err(|error| {
            Error::unknown("the program `postgres` is not there")
                .with_hint(format!(
                    "install PostgreSQL (the package `postgresql`), or set {PROGRAMS} to the directory of its programs, or \
                     OSIRIS_TEST_POSTGRES_URL to a server's URL"
                ))
                .with_source(error)
        })?;
        let version =
            String::from_utf8_lossy(&version.stdout).split_whitespace().nth(2).unwrap_or("unknown").to_owned();
        // Another build of the same version may have other settings built in.
        let build = if programs().is_some() { "-own" } else { "" };
        let template = self.directory.join(format!("postgres-{version}{build}"));
        // Every process comes here at the same time; one makes the directory and the others wait.
        let lock = File::create(self.directory.join("postgres.lock"))?;
        lock.lock()?;
        if !template.exists() {
            self.init(&template)?;
        }
        Ok(template)
    }

    fn init(&self, template: &Path) -> Result<()> {
        let name = template.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unfinished = template.with_file_name(format!("{name}.unfinished"));
        let _ = fs::remove_dir_all(&unfinished);
        let place = self.make(&format!("{name}.unfinished"))?;
        let password = place.join("password");
        fs::write(&password, PASSWORD)?;
        self.give(&password)?;
        let data = place.join("data");
        let mut words = run_as(self.user);
        words.push(program("initdb").into());
        words.extend(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"].map(OsString::from));
        words.extend(["--locale=C.UTF-8", "--no-sync"].map(OsString::from));
        words.extend(["--pwfile".into(), password.into(), "--pgdata".into(), data.clone().into()]);
        ran(Command::new(&words[0]).args(&words[1..]))?;
        fs::rename(&data, template)?;
        Ok(fs::remove_dir_all(place)?)
    }

    /// Copies the prepared data, ownership and all.
    pub(super) fn copy(&self, prepared: &Path, data: &Path) -> Result<()> {
        ran(Command::new("cp").arg("-Rp").arg(prepared).arg(data))
    }
}

/// The words before a command that make it run as this user.
pub(in crate::services) fn run_as(user: Option<&str>) -> Vec<OsString> {
    let Some(user) = user else { return Vec::new() };
    let groups = format!("--regid={user}");
    ["setpriv", &format!("--reuid={user}"), &groups, "--clear-groups", "--"].map(OsString::from).into()
}

/// The directory that the variable names.
fn programs() -> Option<PathBuf> {
    std::env::var_os(PROGRAMS).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A program of PostgreSQL: in the directory that the variable names; else on the PATH, or where Debian keeps the newest.
pub(super) fn program(name: &str) -> PathBuf {
    if let Some(programs) = programs() {
        return programs.join(name);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    places.extend(versions.into_iter().rev().map(|(_, place)| place));
    places.into_iter().map(|place| place.join(name)).find(|program| program.is_file()).unwrap_or_else(|| name.into())
}

/// Whether this machine has the programs.
pub(super) fn is_installed() -> bool {
    program("initdb").is_file() && program("postgres").is_file()
}

fn ran(command: &mut Command) -> Result<()> {
    let output = command.current_dir("/").output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    Err(Error::unknown(format!("`{program}` failed"))
        .with_hint("see what it says")
        .with_context("output", String::from_utf8_lossy(&output.stderr)))
}

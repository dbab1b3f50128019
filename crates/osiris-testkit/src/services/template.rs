//! A data directory that is made once and copied for every server: making one takes seconds, a copy tenths of one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use osiris_core::{Error, Result};

/// Below the build's target directory, where `cargo clean` finds it.
pub(crate) fn services_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    // target/debug/deps/it-0123456789abcdef
    let deps = program.ancestors().find(|path| path.file_name().is_some_and(|name| name == "deps"));
    let target = deps.and_then(|deps| deps.ancestors().nth(2));
    let directory = target.map_or_else(|| std::env::temp_dir().join("osiris"), Path::to_path_buf).join("services");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// The server, which some systems keep where only root's PATH leads.
pub(super) fn server_program() -> PathBuf {
    const NAME: &str = "mariadbd";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|place| place.join(NAME)).find(|program| program.is_file()).unwrap_or_else(|| NAME.into())
}

/// Whether this machine has the programs.
pub(super) fn is_installed() -> bool {
    Command::new(server_program()).arg("--version").output().is_ok()
}

/// The prepared data directory of this server program.
pub(super) fn prepared(services: &Path, user: Option<&str>) -> Result<PathBuf> {
    let version = Command::new(server_program()).arg("--version").output().map_err(|error| {
        Error::unknown("the program `mariadbd` is not there")
            .with_hint("install MariaDB (the package `mariadb-server`), or set OSIRIS_TEST_MYSQL_URL to a server's URL")
            .with_source(error)
    })?;
    let version: String = String::from_utf8_lossy(&version.stdout)
        .split_whitespace()
        .nth(2)
        .unwrap_or("unknown")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .collect();
    let template = services.join(format!("mariadb-{version}"));
    // Every process comes here at the same time; one makes the directory and the others wait.
    let lock = File::create(services.join("mariadb.lock"))?;
    lock.lock()?;
    if !template.exists() {
        make(&template, user)?;
    }
    Ok(template)
}

fn make(template: &Path, user: Option<&str>) -> Result<()> {
    let unfinished = template.with_extension("unfinished");
    let _ = fs::remove_dir_all(&unfinished);
    let mut data = std::ffi::OsString::from("--datadir=");
    data.push(&unfinished);
    let output = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--auth-root-authentication-method=normal"])
        .args(user)
        .args(["--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M"])
        .arg(data)
        .output()?;
    if !output.status.success() {
        return Err(Error::unknown("mariadb-install-db failed")
            .with_hint("see what it says")
            .with_context("output", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(fs::rename(unfinished, template)?)
}

/// Copies a directory with all that is in it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

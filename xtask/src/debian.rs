//! A program that this machine's distribution lacks, with every library it needs, out of another suite of Debian: unpacked into a
//! directory of its own. Nothing is installed, and what apt knows of this machine is neither read nor changed. apt checks the
//! signatures of what it fetches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, shell, workspace};

/// Packages of one suite, unpacked with what they depend on.
pub(crate) struct Tree {
    pub(crate) name: &'static str,
    package: &'static str,
    suite: &'static str,
    /// The program that it is for.
    program: &'static str,
    /// Whether it refuses to run as root.
    refuses_root: bool,
}

/// Genuine MySQL, which the stable suites have replaced by MariaDB.
pub(crate) const MYSQL: Tree =
    Tree { name: "mysql", package: "mysql-server-core", suite: "sid", program: "usr/sbin/mysqld", refuses_root: false };

/// A PgBouncer that is newer than the distribution's.
pub(crate) const PGBOUNCER: Tree =
    Tree { name: "pgbouncer", package: "pgbouncer", suite: "sid", program: "usr/sbin/pgbouncer", refuses_root: true };

/// Whose signatures count.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where the machine's own sources are written.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list.d", "/etc/apt"];
/// Starts a program by the loader and with the libraries of its tree, which are not those of the machine.
const START: &str = r#"#!/bin/sh
root=$(dirname "$0")
for loader in "$root"/usr/lib64/ld-linux-* "$root"/usr/lib/ld-linux-*; do test -e "$loader" && break; done
for libraries in "$root"/usr/lib/*-linux-gnu; do test -d "$libraries" && break; done
exec "$loader" --library-path "$libraries:$libraries/libproxy:$root/usr/lib" "$root/PROGRAM" "$@"
"#;
/// What nobody needs to run a program.
const LEFT_OUT: [&str; 3] = ["doc", "man", "locale"];

impl Tree {
    /// Where the tests look for it.
    pub(crate) fn path(&self) -> PathBuf {
        workspace::programs_dir(self.refuses_root).join(self.name)
    }

    /// Whether it is there, whole.
    pub(crate) fn is_there(&self) -> bool {
        self.path().join(self.program).is_file()
    }

    /// A script that starts its program.
    pub(crate) fn start(&self) -> PathBuf {
        self.path().join("start")
    }

    /// What its program says of its version.
    pub(crate) fn version(&self) -> Outcome<String> {
        shell::capture(Command::new(self.start()).arg("--version"))
    }

    /// Whether this machine can fetch it: a Debian, whoever we are on it.
    pub(crate) fn can_fetch() -> bool {
        ["apt-get", "dpkg", "dpkg-deb", "tar"].iter().all(|name| shell::find_program(name, &[]).is_some())
            && Path::new(KEYRING).is_file()
            && mirror().is_some()
    }

    /// Fetches and unpacks it.
    pub(crate) fn fetch(&self) -> Outcome {
        let mirror = mirror().ok_or("no source of Debian packages is written in /etc/apt")?;
        let (path, unfinished) = (self.path(), self.path().with_extension("unfinished"));
        let failed = |error: std::io::Error| format!("{}: {error}", unfinished.display());
        let (root, apt) = (unfinished.join("root"), unfinished.join("apt"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed)?;
        }
        for directory in ["etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg"] {
            fs::create_dir_all(apt.join(directory)).map_err(failed)?;
        }
        let archives = apt.join("var/cache/apt/archives");
        fs::create_dir_all(archives.join("partial")).map_err(failed)?;
        fs::write(apt.join("var/lib/dpkg/status"), "").map_err(failed)?;
        let source = format!("deb [signed-by={KEYRING}] {mirror} {} main\n", self.suite);
        fs::write(apt.join("etc/apt/sources.list"), source).map_err(failed)?;
        let architecture = shell::capture(Command::new("dpkg").arg("--print-architecture"))?;
        shell::run(apt_get(&apt, architecture.trim()).arg("update"))?;
        let download = ["install", "-y", "--no-install-recommends", "--download-only", self.package];
        shell::run(apt_get(&apt, architecture.trim()).args(download))?;
        make_root(&root).map_err(failed)?;
        for entry in fs::read_dir(&archives).map_err(failed)? {
            let archive = entry.map_err(failed)?.path();
            if archive.extension().is_some_and(|extension| extension == "deb") {
                unpack(&archive, &root)?;
            }
        }
        fs::write(root.join("start"), START.replace("PROGRAM", self.program)).map_err(failed)?;
        shell::run(Command::new("chmod").arg("755").arg(root.join("start")))?;
        if path.exists() {
            fs::remove_dir_all(&path).map_err(failed)?;
        }
        fs::rename(&root, &path).map_err(failed)?;
        fs::remove_dir_all(&unfinished).map_err(failed)
    }
}

/// apt with a state of its own, which knows no installed package: all that is needed is fetched.
fn apt_get(directory: &Path, architecture: &str) -> Command {
    let mut command = Command::new("apt-get");
    let options = [
        format!("Dir={}", directory.display()),
        format!("Dir::State::status={}", directory.join("var/lib/dpkg/status").display()),
        format!("APT::Architecture={architecture}"),
        // It drops root's rights for a user who may not enter our directory.
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
    ];
    command.arg("-qq").stdout(Stdio::null());
    for option in options {
        command.args(["-o", &option]);
    }
    command
}

/// Directories as packages expect them: what was at the top is below `usr`.
#[cfg(unix)]
fn make_root(root: &Path) -> std::io::Result<()> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(name))?;
        std::os::unix::fs::symlink(Path::new("usr").join(name), root.join(name))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_root(_: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The files of a package, without documentation. No script of it is run.
fn unpack(archive: &Path, root: &Path) -> Outcome {
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--fsys-tarfile").arg(archive).stdout(Stdio::piped());
    let said = shell::describe(&dpkg);
    let failed = |error: std::io::Error| format!("`{said}`: {error}");
    let mut child = dpkg.spawn().map_err(failed)?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--keep-directory-symlink"]).args(LEFT_OUT.map(|name| format!("--exclude=./usr/share/{name}")));
    tar.arg("-C").arg(root).stdin(child.stdout.take().map_or_else(Stdio::null, Stdio::from));
    shell::run(&mut tar)?;
    let ended = child.wait().map_err(failed)?;
    if ended.success() { Ok(()) } else { Err(format!("`{said}` failed ({ended})")) }
}

/// Where this machine gets its own packages from.
fn mirror() -> Option<String> {
    let files = SOURCES.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "list" || extension == "sources"))
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|text| mirror_in(&text))
}

/// The first address of Debian in a file of either format, but not that of its security updates.
fn mirror_in(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace)
        .find(|word| word.contains("://") && word.contains("debian") && !word.contains("security"))
        .map(|word| word.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_source_is_found_in_either_format() {
        for text in [
            "# URIs: http://old.example/debian\nTypes: deb\nURIs: http://one.example/debian\nSuites: stable\n",
            "# deb http://old.example/debian sid main\ndeb [arch=amd64] http://one.example/debian/ stable main\n",
        ] {
            assert_eq!(mirror_in(text).as_deref(), Some("http://one.example/debian"), "{text}");
        }
        assert_eq!(mirror_in("URIs: http://one.example/debian-security\n"), None);
        assert_eq!(mirror_in("URIs: http://one.example/ubuntu\n"), None);
    }

    #[test]
    fn it_is_kept_where_the_tests_look() {
        assert!(MYSQL.path().ends_with("services/mysql"));
    }

    /// By hand: `CARGO_TARGET_DIR` may name another directory.
    #[test]
    #[ignore = "fetches 80 MB from a mirror of Debian"]
    fn the_programs_are_fetched_and_run() {
        for tree in [&MYSQL, &PGBOUNCER] {
            tree.fetch().unwrap();
            assert!(tree.is_there() && tree.version().unwrap().to_lowercase().contains(tree.name));
        }
    }
}

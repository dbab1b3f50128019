//! `cargo xtask ci`: everything that must hold before a change is merged, in phases, stopping at the first that fails.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::duckdb::{self, Build};
use crate::private::Private;
use crate::services::Mode;
use crate::test_drivers::{AS_FOR_TESTS, NEXTEST, Seeds};
use crate::{
    Outcome, advisories, api, docs, layout, matrix, native, outside, packages, readme, shell, test_drivers, tools,
    workspace,
};

/// One thing that must hold.
struct Phase {
    name: &'static str,
    about: &'static str,
    run: fn() -> Outcome,
}

/// The cheap ones first. All but `bundled` link the DuckDB that its project has built, where there is one for the platform.
const PHASES: &[Phase] = &[
    Phase { name: "format", about: "the code is formatted", run: format },
    Phase { name: "layout", about: "each crate knows only what it may, files are in their form", run: layout::check },
    Phase { name: "native", about: "every documented command compiles the same DuckDB", run: native::check },
    Phase { name: "lint", about: "clippy has nothing to say", run: lint },
    Phase {
        name: "rustdoc",
        about: "the API documentation builds, its links lead somewhere, the public API is the one in docs/api",
        run: documentation,
    },
    Phase { name: "dependencies", about: "every dependency is used", run: dependencies },
    Phase {
        name: "advisories",
        about: "no dependency has a known fault, a foreign licence or source",
        run: advisories::check,
    },
    Phase { name: "features", about: "each feature of the facade compiles alone", run: features },
    Phase {
        name: "packages",
        about: "each crate can be packaged, compiles from its package, and drivers outside of the workspace work with them",
        run: packages::check,
    },
    Phase { name: "docs", about: "the generated reference is up to date", run: docs::check },
    Phase { name: "tests", about: "every test, with every service, in an empty home", run: tests },
    Phase {
        name: "servers",
        about: "what takes seconds runs on the oldest and the newest versions of the servers",
        run: servers,
    },
    Phase {
        name: "bundled",
        about: "the README works, and DuckDB compiled from source passes the tests",
        run: bundled,
    },
];

pub(crate) fn main(mut args: Args) -> Outcome {
    let only = args.option("--only")?;
    let list = args.flag("--list");
    args.finish()?;
    if list {
        PHASES.iter().for_each(|phase| println!("{:<14}{}", phase.name, phase.about));
        return Ok(());
    }
    let chosen: Vec<&Phase> =
        PHASES.iter().filter(|phase| only.as_deref().is_none_or(|name| name == phase.name)).collect();
    if chosen.is_empty() {
        return Err(format!("there is no phase `{}`; `cargo xtask ci --list` names them", only.unwrap_or_default()));
    }
    if !duckdb::link_in_this_process()? {
        println!("no DuckDB to link on this platform: every phase compiles it from source");
    }
    run(&chosen)
}

fn run(phases: &[&Phase]) -> Outcome {
    let began = Instant::now();
    let mut times = Vec::new();
    for phase in phases {
        println!("==> {}: {}", phase.name, phase.about);
        let started = Instant::now();
        (phase.run)().map_err(|error| format!("{error}\nto repeat: cargo xtask ci --only {}", phase.name))?;
        times.push((phase.name, started.elapsed()));
        println!("    {} ok in {}", phase.name, clock(started.elapsed()));
    }
    println!();
    times.iter().for_each(|(name, time)| println!("{name:<14}{:>8}", clock(*time)));
    println!("{:<14}{:>8}", "all", clock(began.elapsed()));
    Ok(())
}

fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

fn format() -> Outcome {
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
    shell::run(shell::cargo(&["fmt", "--check"]).current_dir(workspace::root().join(outside::EXAMPLE)))
}

fn lint() -> Outcome {
    let mut clippy = shell::cargo(&["clippy", "--locked", "--quiet", "--all-targets"]);
    clippy.args(Build::of_checkout().workspace()).args(["--features", "osiris-cli/otel"]);
    shell::run(clippy.args(["--", "-D", "warnings"]))
}

fn documentation() -> Outcome {
    api::clean()?;
    rustdoc()?;
    api::check()
}

/// Libraries only: the program and the facade are both called `osiris` and would overwrite each other's pages. With every
/// feature that adds to them, as a reader of the documentation wants it.
pub(crate) fn rustdoc() -> Outcome {
    const FEATURES: &str = "osiris/all-drivers,osiris-sql/tls,osiris-testkit/http-server,osiris-testkit/services";
    let mut doc = shell::cargo(&["doc", "--locked", "--quiet", "--no-deps", "--lib", AS_FOR_TESTS]);
    doc.args(Build::of_checkout().workspace()).args(["--features", FEATURES]);
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

fn dependencies() -> Outcome {
    tools::MACHETE.ensure()?;
    // By its own name: as a subcommand of cargo, below `cargo xtask`, it would take its first word for a path.
    shell::run(Command::new("cargo-machete").arg("--with-metadata"))
}

/// With clippy, so that what is unused without some feature is an error too. Nothing is linked: without `bundled` DuckDB's build
/// script only writes bindings. `bundled` has a phase of its own.
fn features() -> Outcome {
    tools::HACK.ensure()?;
    let mut hack = shell::cargo(&["hack", "--each-feature", "--exclude-features", "bundled", "--exclude-all-features"]);
    shell::run(hack.args(["-p", "osiris", "clippy", "--locked", "--quiet", "--", "-D", "warnings"]))
}

/// What the README tells people to type, in a home and a directory for temporary files that are empty before and after.
fn tests() -> Outcome {
    let private = Private::new()?;
    test_drivers::run(None, Mode::Required, Seeds::New, Some(&private))?;
    private.close()
}

/// The ends of the list of servers; `tests` has the whole suite on one of each kind, and the whole list takes minutes more.
fn servers() -> Outcome {
    const ENDS: &str = "PostgreSQL 12,PostgreSQL 18,PgBouncer transaction,PostgREST 11";
    matrix::run(Mode::Required, Some(ENDS), true, false)
}

/// What works with DuckDB itself, and the program, whose defaults compile DuckDB. Not the whole workspace: a test binary with DuckDB
/// in it has 250 MB, and each has to be linked. With the feature that is off by default.
pub(crate) const WITH_DUCKDB: &str = "-p osiris-cli -p osiris-core -p osiris-driver-duckdb -p osiris-driver-filesystem -p osiris-e2e \
     --features osiris-cli/otel";

/// Whole pipelines about servers, networks and kills, which ran with the library: to them it is the same DuckDB.
const WITHOUT_DUCKDB: &[&str] = &[
    "connection_errors",
    "direct_databases",
    "faults",
    "graphql",
    "kills",
    "mysql",
    "outage",
    "postgres",
    "posthog",
    "supabase",
];

/// The commands of the README, then the tests of what works with DuckDB itself. Those of the program need no second run, but for the
/// feature: they are selected for the program that whole pipelines start.
fn bundled() -> Outcome {
    readme::check()?;
    let servers = WITHOUT_DUCKDB.join("|");
    let filter = format!(
        "not (package(osiris-cli) and not test(/^otel::/)) and not (package(osiris-e2e) and test(/^({servers})::/))"
    );
    let mut tests = shell::cargo(&NEXTEST);
    shell::run(tests.args(WITH_DUCKDB.split(' ')).args(["-E", &filter]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_phase_that_fails_ends_the_run_and_says_how_to_repeat_it() {
        let good = Phase { name: "good", about: "", run: || Ok(()) };
        let bad = Phase { name: "bad", about: "", run: || Err("no".to_owned()) };
        let never = Phase { name: "never", about: "", run: || panic!("must not run") };
        let error = run(&[&good, &bad, &never]).unwrap_err();
        assert_eq!(error, "no\nto repeat: cargo xtask ci --only bad");
        run(&[&good]).unwrap();
    }

    #[test]
    fn the_pipelines_that_run_with_one_duckdb_only_are_there() {
        let main = workspace::read("tests/it/main.rs").unwrap();
        for module in WITHOUT_DUCKDB {
            assert!(main.lines().any(|line| line == format!("mod {module};")), "tests/it: no module `{module}`");
        }
    }

    #[test]
    fn s53_advisories_are_a_phase() {
        assert!(PHASES.iter().any(|phase| phase.name == "advisories"));
    }

    #[test]
    fn an_unknown_phase_is_refused() {
        let words = ["--only", "nothing"].map(str::to_owned);
        assert!(main(Args::new(words)).unwrap_err().contains("`nothing`"));
    }
}

//! The project's own tasks: `cargo xtask ...`. They run other programs; none of our crates is linked here.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task runner talks to the person who runs it")]

mod advisories;
mod api;
mod args;
mod bench;
mod ci;
mod debian;
mod dist;
mod docs;
mod download;
mod duckdb;
mod engines;
mod faults;
mod fuzz;
mod layout;
mod matrix;
mod native;
mod new_driver;
mod outside;
mod packages;
mod private;
mod pypi;
mod python;
mod readme;
mod release;
mod services;
mod shell;
mod test_drivers;
mod tools;
mod workspace;

use std::process::ExitCode;

use args::Args;

/// What a task returns: the message is for the person who must fix it.
type Outcome<T = ()> = Result<T, String>;

const HELP: &str = "\
cargo xtask <task>

  test-drivers [--driver NAME] [--services auto|required|skip] [--explore]
                        run every test, or those of one driver; the services they need are found or installed; property tests
                        get the same inputs in every run, with --explore new ones
  test-drivers --faults [--seed N] [--repeats N] [--minutes N] [--only 'NAME [MODE],...']
                        the whole fault matrix, which takes up to an hour: kills and full disks at random moments and at single
                        system calls, signals, broken links, restarts of servers, clocks that jump, two runs at once; prints
                        what was lost, doubled or left behind, and what was not run
  test-drivers --server-matrix [--only 'SERVER [VERSION],...'] [--quick | --write]
                        the tests of the database drivers against every version of their servers, one to two hours; prints a
                        table, or writes it to docs/servers.md; with --quick those that take seconds, as in CI
  ci [--only PHASE] [--list]
                        everything that must hold before a change is merged
  duckdb [--bundled]    link the library that the DuckDB project has built (seconds) instead of compiling DuckDB (20 to 40
                        minutes); with --bundled back again
  docs [--check]        write the generated pages of docs/reference, or fail when they are stale
  api [--check]         write the public items of each published crate to docs/api, or fail when they differ
  fuzz [NAME] [--seconds N]
                        the fuzz targets of tests/fuzz, N seconds each (60), with seeds of the moment
  bench [NAME]... [--list] [--scale N] [--rounds N] [--write]
                        build the dist profile and print the table of docs/benchmarks.md, or write it there
  new-driver NAME --kind http|file|sql [--path DIR]
                        make crates/osiris-driver-NAME from the template of its kind and register it in the facade; with
                        --path a crate of its own in DIR, with a program that has the driver
  dist [--prebuilt] [--skip wheel] [--image] [--out DIR]
                        what a release gives to people: an archive, a wheel and their checksums, each tried in an empty directory;
                        with --prebuilt the archive has the library of `cargo xtask duckdb` in it, with --image the container
                        image is built too
  dist --licenses DIR   the licences of all that is linked, alone
  release [--execute]   check that the crates can be published; publish them
";

fn main() -> ExitCode {
    let mut args = Args::new(std::env::args().skip(1));
    let outcome = match args.word().as_deref() {
        Some("test-drivers") => test_drivers::main(args),
        Some("ci") => ci::main(args),
        Some("duckdb") => duckdb::main(args),
        Some("docs") => docs::main(args),
        Some("api") => api::main(args),
        Some("fuzz") => fuzz::main(args),
        Some("bench") => bench::main(args),
        Some("dist") => dist::main(args),
        Some("new-driver") => new_driver::main(args),
        Some("release") => release::main(args),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("unknown task `{other}`\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages that people and programs follow to the letter.
    const PAGES: [&str; 15] = [
        "README.md",
        "CONTRIBUTING.md",
        "AGENTS.md",
        "ARCHITECTURE.md",
        "docs/brief.md",
        "docs/embedding.md",
        "docs/writing-a-driver.md",
        "docs/benchmarks.md",
        "docs/servers.md",
        "docs/getting-started.md",
        "docs/incremental.md",
        "docs/recipes.md",
        "docs/migrating.md",
        "docs/migrating-from-sling.md",
        "docs/migrating-from-dlt.md",
    ];

    #[test]
    fn pages_name_tasks_that_there_are_and_files_that_are_there() {
        for page in PAGES {
            let text = workspace::read(page).unwrap();
            for task in text.split("cargo xtask ").skip(1) {
                let task: String =
                    task.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '-').collect();
                assert!(task == "help" || HELP.contains(&format!("\n  {task} ")), "{page}: cargo xtask {task}");
            }
            let directory = std::path::Path::new(page).parent().unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = link.split('#').next().unwrap_or_default();
                let is_file = !file.is_empty() && !file.contains("://");
                assert!(!is_file || workspace::root().join(directory).join(file).exists(), "{page}: {link}");
            }
        }
    }
}

//! Cargo subcommands that the tasks use, installed on first use.

use crate::{Outcome, shell};

/// A cargo subcommand from the package registry.
pub(crate) struct Tool {
    /// Its program and its package.
    name: &'static str,
    /// The versions that the tasks were written for.
    version: &'static str,
}

/// Runs tests, one process each.
pub(crate) const NEXTEST: Tool = Tool { name: "cargo-nextest", version: "^0.9" };
/// Checks each feature alone.
pub(crate) const HACK: Tool = Tool { name: "cargo-hack", version: "^0.6" };
/// Compares the dependencies with advisories, licences and sources.
pub(crate) const DENY: Tool = Tool { name: "cargo-deny", version: "^0.20" };
/// Finds dependencies that nobody uses.
pub(crate) const MACHETE: Tool = Tool { name: "cargo-machete", version: "^0.9" };

/// What makes cargo compile a program in the shortest time, whatever its own profile says.
const QUICK_BUILD: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

impl Tool {
    /// Whether it is installed.
    pub(crate) fn is_there(&self) -> bool {
        let own = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
        let home = std::env::var_os("HOME").map(|home| std::path::PathBuf::from(home).join(".cargo"));
        let further: Vec<_> = own.or(home).map(|home| home.join("bin")).into_iter().collect();
        shell::find_program(self.name, &further).is_some()
    }

    /// Installs the tool unless it is there.
    pub(crate) fn ensure(&self) -> Outcome {
        if self.is_there() {
            return Ok(());
        }
        println!("{} is missing: installing it", self.name);
        let mut install = shell::cargo(&["install", "--quiet", "--locked", "--version", self.version, self.name]);
        // They run for seconds, and some are released with fat LTO, which takes minutes.
        install.envs(QUICK_BUILD);
        // Its build has nothing in common with ours: not into our target directory.
        shell::run(install.env_remove("CARGO_TARGET_DIR"))
            .map_err(|error| format!("{error}\nhint: install {} by hand and run the task again", self.name))
    }
}

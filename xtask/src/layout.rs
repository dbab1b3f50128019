//! The structure of the workspace that no compiler checks: who may depend on whom, one module style, files of a readable size, crates
//! that know no vendor, and no dependency of the workspace that nobody uses. A finding has a file and, where there is one, a line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Outcome, outside, workspace};

/// Our crates that a crate may depend on, apart from its tests. A driver that is not listed may use [`ANY_DRIVER`].
const IMPORTS: &[(&str, &[&str])] = &[
    ("osiris-core", &[]),
    ("osiris-http", &["osiris-core"]),
    ("osiris-sql", &["osiris-core"]),
    ("osiris-pipeline", &["osiris-core"]),
    ("osiris-testkit", &["osiris-core"]),
    // Supabase is PostgreSQL: the one driver that is built on another.
    ("osiris-driver-supabase", &["osiris-core", "osiris-driver-postgres", "osiris-http", "osiris-sql"]),
    ("osiris-cli", &["osiris"]),
];
const ANY_DRIVER: &[&str] = &["osiris-core", "osiris-http", "osiris-sql"];

/// Crates that know no vendor, and the words by which they would.
const WITHOUT_VENDORS: &[&str] = &["osiris-core", "osiris-http", "osiris-pipeline", "osiris-testkit"];
const VENDORS: &[&str] = &["graphql", "mariadb", "mysql", "posthog", "postgres", "postgrest", "sqlite", "supabase"];
/// Files of them that may: what starts a vendor's server for tests.
const MAY_NAME_VENDORS: &[&str] = &["crates/osiris-testkit/src/services", "crates/osiris-testkit/src/database"];
/// What stands for any vendor: examples in messages, variables that a driver must not read.
const EXAMPLES: &[&str] = &["@mysql.", "`mysql:`", "\"MYSQL_PWD\""];

/// Lines that a source file may have, without its unit tests.
const MAX_LINES: usize = 500;

pub(crate) fn check() -> Outcome {
    let mut findings = Vec::new();
    let sources = sources()?;
    findings.extend(imports()?);
    findings.extend(unused_dependencies()?);
    for path in &sources {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.strip_prefix(workspace::root()).unwrap_or(path).display().to_string();
        findings.extend(self_named_module(path, &name));
        findings.extend(size(&name, &text));
        findings.extend(vendors(&name, &text));
    }
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

/// Every source file of our crates.
fn sources() -> Outcome<Vec<PathBuf>> {
    let mut sources = Vec::new();
    let example = format!("{}/src", outside::EXAMPLE);
    for directory in ["crates", "stand-ins", "tests", "benches", "xtask", &example] {
        collect(&workspace::root().join(directory), &mut sources)?;
    }
    sources.sort();
    Ok(sources)
}

fn collect(directory: &Path, sources: &mut Vec<PathBuf>) -> Outcome {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

fn imports() -> Outcome<Vec<String>> {
    Ok(workspace::packages()?.iter().flat_map(|package| unknown(&package.name, &package.dependencies)).collect())
}

/// The dependencies that a package may not have.
fn unknown(package: &str, dependencies: &BTreeSet<String>) -> Vec<String> {
    let listed = IMPORTS.iter().find(|(name, _)| *name == package).map(|(_, allowed)| *allowed);
    let is_driver = package.starts_with("osiris-driver-");
    let Some(allowed) = listed.or(is_driver.then_some(ANY_DRIVER)) else { return Vec::new() };
    let unknown = dependencies.iter().filter(|dependency| !allowed.contains(&dependency.as_str()));
    unknown.map(|dependency| format!("{package}: depends on {dependency}, which it may not know")).collect()
}

/// Entries of `[workspace.dependencies]` that no member asks for: tools for unused dependencies look at members only.
fn unused_dependencies() -> Outcome<Vec<String>> {
    let root = workspace::read("Cargo.toml")?;
    let declared = section(&root, "[workspace.dependencies]");
    let members = workspace::members()?;
    let is_used = |name: &str| {
        let keys = [format!("{name}.workspace"), format!("{name} = {{ workspace")];
        members.iter().any(|member| member.manifest.lines().any(|line| keys.iter().any(|key| line.starts_with(key))))
    };
    let unused = declared.into_iter().filter(|name| !is_used(name));
    Ok(unused.map(|name| format!("Cargo.toml: no crate uses the dependency `{name}` of the workspace")).collect())
}

/// The keys of a section of a manifest.
fn section(manifest: &str, title: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.starts_with('['));
    let key = |line: &str| {
        let name = line.split(['=', '.']).next().unwrap_or_default().trim();
        (!name.is_empty() && !name.starts_with('#') && !line.starts_with([' ', ']'])).then(|| name.to_owned())
    };
    lines.filter_map(key).collect()
}

/// A module with submodules is `x/mod.rs`.
fn self_named_module(path: &Path, name: &str) -> Option<String> {
    path.with_extension("")
        .is_dir()
        .then(|| format!("{name}: a module with submodules is called `mod.rs`: move it into its directory"))
}

/// The lines before the unit tests, which stand at the end.
fn without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().position(|line| *line == "#[cfg(test)]").unwrap_or(lines.len())
}

fn size(name: &str, text: &str) -> Option<String> {
    let lines = without_tests(text);
    let is_test = name.contains("/tests/");
    (lines > MAX_LINES && !is_test)
        .then(|| format!("{name}: {lines} lines without its tests, {MAX_LINES} are allowed: split it"))
}

fn vendors(name: &str, text: &str) -> Vec<String> {
    let is_bound = WITHOUT_VENDORS.iter().any(|package| name.starts_with(&format!("crates/{package}/src")));
    if !is_bound || MAY_NAME_VENDORS.iter().any(|path| name.starts_with(path)) {
        return Vec::new();
    }
    let code = text.lines().take(without_tests(text)).enumerate().filter(|(_, line)| {
        !line.trim_start().starts_with("//") && !EXAMPLES.iter().any(|example| line.contains(example))
    });
    let named = code.filter_map(|(index, line)| {
        let line = line.to_ascii_lowercase();
        let vendor = VENDORS
            .iter()
            .find(|vendor| line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == **vendor))?;
        Some(format!("{name}:{}: names `{vendor}`, which this crate does not know", index + 1))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_in_order() {
        check().unwrap();
    }

    #[test]
    fn what_is_out_of_order_is_found() {
        let long = "let a = 1;\n".repeat(MAX_LINES + 1);
        assert!(size("crates/x/src/a.rs", &long).unwrap().contains("501 lines"));
        assert_eq!(size("crates/x/tests/it/a.rs", &long), None);
        assert_eq!(size("crates/x/src/a.rs", &format!("#[cfg(test)]\n{long}")), None);
        let code = "// MySQL\nlet a = \"MySQL\";\nlet b = \"@mysql.movies\";\n#[cfg(test)]\nlet c = \"mysql\";\n";
        assert_eq!(
            vendors("crates/osiris-core/src/a.rs", code),
            ["crates/osiris-core/src/a.rs:2: names `mysql`, which this crate does not know"]
        );
        assert!(vendors("crates/osiris-driver-mysql/src/a.rs", code).is_empty());
        let dependencies = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            unknown("osiris-core", &dependencies(&["osiris-sql"])),
            ["osiris-core: depends on osiris-sql, which it may not know"]
        );
        let driver = unknown("osiris-driver-new", &dependencies(&["osiris-core", "osiris-cli"]));
        assert_eq!(driver, ["osiris-driver-new: depends on osiris-cli, which it may not know"]);
        let manifest = "[workspace.dependencies]\n# A comment.\na = \"1\"\nb-c = { version = \"1\", features = [\n  \"x\",\n] }\n\n[x]\nd = 1\n";
        assert_eq!(section(manifest, "[workspace.dependencies]"), ["a", "b-c"]);
    }
}

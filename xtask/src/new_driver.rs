//! `cargo xtask new-driver NAME`: a driver crate that compiles and passes the conformance suite, wired into the facade.
//!
//! The template, `xtask/templates/driver`, is a driver called `sample` and a member of this workspace, so that it
//! compiles, lints and passes the suite whenever the rest does. What an author replaces is its client and its types,
//! not its shape.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::args::Args;
use crate::{Outcome, packages, shell, workspace};

const TEMPLATE: &str = "xtask/templates/driver";

pub(crate) fn main(mut args: Args) -> Outcome {
    let name = args.word().ok_or("which name? `cargo xtask new-driver mongodb`")?;
    args.finish()?;
    check_name(&name, &workspace::drivers()?)?;
    let version = workspace::version()?;
    let facade = workspace::read("crates/osiris/src/lib.rs")?;
    let existing = last_registered(&facade, workspace::drivers()?).ok_or("the facade registers no driver")?;
    let root = with_dependency(&workspace::read("Cargo.toml")?, &name, &version)?;
    let manifest = with_feature(&workspace::read("crates/osiris/Cargo.toml")?, &name, &existing)?;
    let facade = with_registration(&facade, &name, &existing)?;
    let directory = Path::new("crates").join(format!("osiris-driver-{name}"));
    for (path, text) in template()? {
        workspace::write(directory.join(path), &renamed(&text, &name))?;
    }
    for licence in packages::LICENCES {
        workspace::write(directory.join(licence), &workspace::read(licence)?)?;
    }
    workspace::write("Cargo.toml", &root)?;
    workspace::write("crates/osiris/Cargo.toml", &manifest)?;
    workspace::write("crates/osiris/src/lib.rs", &facade)?;
    let package = format!("osiris-driver-{name}");
    shell::run(&mut shell::cargo(&["fmt", "-p", &package, "-p", "osiris"]))?;
    // The crate's entry in Cargo.lock, and nothing else: the other tasks run with `--locked`.
    shell::run(&mut shell::cargo(&["update", "--quiet", "--workspace"]))?;
    println!("made {} and its feature `{name}` of the facade", directory.display());
    println!("next: cargo xtask test-drivers --driver {name}, then docs/writing-a-driver.md");
    Ok(())
}

fn check_name(name: &str, known: &[String]) -> Outcome {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !plain {
        return Err(format!("`{name}`: a driver's name is a family of components: lower-case letters and digits"));
    }
    if name == "sample" || known.iter().any(|other| other == name) {
        Err(format!("there is a driver `{name}` already"))
    } else {
        Ok(())
    }
}

/// The files of the template, by their paths in it, sorted.
fn template() -> Outcome<Vec<(PathBuf, String)>> {
    let root = workspace::root().join(TEMPLATE);
    let (mut files, mut directories) = (Vec::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        let failed = |error| format!("{}: {error}", directory.display());
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                directories.push(path);
            } else if is_source(&path) {
                let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                files.push((path.strip_prefix(&root).unwrap_or(&path).to_path_buf(), text));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Not what an editor or a failed test left beside them.
fn is_source(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|extension| ["md", "rs", "toml"].contains(&extension))
}

/// A file of the template for the driver `name`, which may be published. `Sample` is replaced at the beginning of a
/// longer name: alone it is the type of the conformance suite.
fn renamed(template: &str, name: &str) -> String {
    let mut type_name = name.to_owned();
    type_name[..1].make_ascii_uppercase();
    let text = template.replace("publish = false\n", "").replace("sample", name);
    let mut pieces = text.split("Sample");
    let mut renamed = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        renamed.push_str(if piece.starts_with(|c: char| c.is_ascii_uppercase()) { &type_name } else { "Sample" });
        renamed.push_str(piece);
    }
    renamed
}

/// The workspace's manifest with the crate among the dependencies.
fn with_dependency(manifest: &str, name: &str, version: &str) -> Outcome<String> {
    let line = format!("osiris-driver-{name} = {{ path = \"crates/osiris-driver-{name}\", version = \"{version}\" }}");
    after_last(manifest, "osiris-driver-", &line)
}

/// The facade's manifest with a feature of the driver's name, its optional dependency, and its place among all drivers.
fn with_feature(manifest: &str, name: &str, existing: &str) -> Outcome<String> {
    let manifest = replaced(manifest, &format!("\"{existing}\""), &format!("\"{existing}\", \"{name}\""))?;
    let feature = format!("# {name}.extractor, {name}.writer\n{name} = [\"dep:osiris-driver-{name}\"]");
    let manifest = after_last(&manifest, &format!("{existing} = ["), &feature)?;
    let dependency = format!("osiris-driver-{name} = {{ workspace = true, optional = true }}");
    after_last(&manifest, "osiris-driver-", &dependency)
}

/// The last of the drivers that the facade has: the new one's lines come behind its.
fn last_registered(facade: &str, drivers: Vec<String>) -> Option<String> {
    drivers.into_iter().rfind(|driver| facade.contains(&format!("osiris_driver_{driver}::register")))
}

/// The facade with every line that is there for the feature `existing` repeated for the new one.
fn with_registration(facade: &str, name: &str, existing: &str) -> Outcome<String> {
    let condition = format!("#[cfg(feature = \"{existing}\")]");
    let lines: Vec<&str> = facade.lines().collect();
    let mut text = String::new();
    let mut found = false;
    for (number, line) in lines.iter().enumerate() {
        text.push_str(&format!("{line}\n"));
        let gated = number > 0 && lines[number - 1].trim() == condition && line.contains("osiris_driver_");
        if gated {
            let both = format!("{}\n{line}\n", lines[number - 1]);
            text.push_str(&both.replace(existing, name));
            found |= line.contains("register");
        }
    }
    if found { Ok(text) } else { Err(format!("crates/osiris/src/lib.rs: no `register` line below `{condition}`")) }
}

fn replaced(text: &str, from: &str, to: &str) -> Outcome<String> {
    if text.contains(from) { Ok(text.replacen(from, to, 1)) } else { Err(format!("Cargo.toml: no {from}")) }
}

/// `text` with `line` below the last line that begins with `start`.
fn after_last(text: &str, start: &str, line: &str) -> Outcome<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().rposition(|other| other.starts_with(start));
    lines.insert(last.ok_or_else(|| format!("Cargo.toml: no line begins with `{start}`"))? + 1, line);
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_family_and_new() {
        check_name("mongodb", &[]).unwrap();
        for bad in ["Mongo", "mongo-db", "2fast", "", "a.b"] {
            assert!(check_name(bad, &[]).is_err(), "{bad}");
        }
        assert!(check_name("sample", &[]).is_err(), "it is the template's");
        assert!(check_name("duckdb", &["duckdb".to_owned()]).unwrap_err().contains("already"));
    }

    #[test]
    fn nothing_of_the_template_is_left_but_the_type_of_the_suite() {
        let files = template().unwrap();
        assert!(files.len() > 10, "{files:?}");
        for (path, text) in files {
            let text = renamed(&text, "mongodb");
            let suite = path.ends_with("tests/it/conformance.rs");
            assert!(!text.contains("sample") && (suite || !text.contains("Sample")), "{}", path.display());
            assert!(!text.contains("publish ="), "{}", path.display());
        }
        let text = renamed("SampleWriter of sample.writer, Sample::new(3)", "mongodb");
        assert_eq!(text, "MongodbWriter of mongodb.writer, Sample::new(3)");
    }

    #[test]
    fn the_facade_gets_a_feature_a_dependency_and_a_register_line() {
        let manifest =
            with_feature(&workspace::read("crates/osiris/Cargo.toml").unwrap(), "mongodb", "filesystem").unwrap();
        for wanted in [
            "\"filesystem\", \"mongodb\"",
            "mongodb = [\"dep:osiris-driver-mongodb\"]",
            "osiris-driver-mongodb = { workspace = true, optional = true }",
        ] {
            assert!(manifest.contains(wanted), "{manifest}");
        }
        let root = with_dependency(&workspace::read("Cargo.toml").unwrap(), "mongodb", "0.1.0").unwrap();
        assert!(root.contains("osiris-driver-mongodb = { path = \"crates/osiris-driver-mongodb\""), "{root}");
        let facade = with_registration(
            "    #[cfg(feature = \"duckdb\")]\n    osiris_driver_duckdb::register(r)?;\n    Ok(())\n",
            "mongodb",
            "duckdb",
        );
        assert_eq!(
            facade.unwrap(),
            "    #[cfg(feature = \"duckdb\")]\n    osiris_driver_duckdb::register(r)?;\n    \
             #[cfg(feature = \"mongodb\")]\n    osiris_driver_mongodb::register(r)?;\n    Ok(())\n"
        );
        assert!(with_registration("nothing", "mongodb", "duckdb").is_err());
        let drivers = ["duckdb", "mysql"].map(str::to_owned).to_vec();
        assert_eq!(last_registered("osiris_driver_duckdb::register(r)?;", drivers).unwrap(), "duckdb");
    }
}

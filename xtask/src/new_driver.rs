//! `cargo xtask new-driver NAME`: a driver crate that compiles and passes the conformance suite, wired into the facade.
//!
//! The templates are a working driver called `sample` whose tables are text files: what an author replaces is the client and
//! the types, not the shape.

use std::path::Path;

use crate::args::Args;
use crate::{Outcome, shell, workspace};

const TEMPLATES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../templates/driver/Cargo.toml.tmpl")),
    ("README.md", include_str!("../templates/driver/README.md")),
    ("src/lib.rs", include_str!("../templates/driver/src/lib.rs")),
    ("src/config.rs", include_str!("../templates/driver/src/config.rs")),
    ("src/client.rs", include_str!("../templates/driver/src/client.rs")),
    ("src/extract.rs", include_str!("../templates/driver/src/extract.rs")),
    ("src/write.rs", include_str!("../templates/driver/src/write.rs")),
    ("src/types.rs", include_str!("../templates/driver/src/types.rs")),
    ("src/error.rs", include_str!("../templates/driver/src/error.rs")),
    ("tests/it/main.rs", include_str!("../templates/driver/tests/it/main.rs")),
];

pub(crate) fn main(mut args: Args) -> Outcome {
    let name = args.word().ok_or("which name? `cargo xtask new-driver mongodb`")?;
    args.finish()?;
    check_name(&name, &workspace::drivers()?)?;
    let existing = workspace::drivers()?.pop().ok_or("there is no driver to take the facade's lines from")?;
    let version = workspace::version()?;
    let root = with_dependency(&workspace::read("Cargo.toml")?, &name, &version)?;
    let manifest = with_feature(&workspace::read("crates/osiris/Cargo.toml")?, &name, &existing)?;
    let facade = with_registration(&workspace::read("crates/osiris/src/lib.rs")?, &name, &existing)?;
    let directory = Path::new("crates").join(format!("osiris-driver-{name}"));
    for (path, template) in TEMPLATES {
        workspace::write(directory.join(path), &renamed(template, &name))?;
    }
    workspace::write("Cargo.toml", &root)?;
    workspace::write("crates/osiris/Cargo.toml", &manifest)?;
    workspace::write("crates/osiris/src/lib.rs", &facade)?;
    let package = format!("osiris-driver-{name}");
    shell::run(&mut shell::cargo(&["fmt", "-p", &package, "-p", "osiris"]))?;
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
    if known.iter().any(|other| other == name) { Err(format!("there is a driver `{name}` already")) } else { Ok(()) }
}

/// The template with `sample` and `Sample` replaced.
fn renamed(template: &str, name: &str) -> String {
    let mut type_name = name.to_owned();
    type_name[..1].make_ascii_uppercase();
    template.replace("Sample", &type_name).replace("sample", name)
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
        assert!(check_name("duckdb", &["duckdb".to_owned()]).unwrap_err().contains("already"));
    }

    #[test]
    fn nothing_of_the_sample_is_left() {
        for (path, template) in TEMPLATES {
            let text = renamed(template, "mongodb");
            assert!(!text.to_lowercase().contains("sample"), "{path}");
        }
        assert!(renamed("SampleWriter of sample.writer", "mongodb") == "MongodbWriter of mongodb.writer");
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
    }
}

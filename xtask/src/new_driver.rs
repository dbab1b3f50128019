//! `cargo xtask new-driver NAME --kind KIND`: a driver crate that compiles and passes the conformance suite, wired into the facade, or
//! with `--path DIR` outside of this workspace.
//!
//! Each kind has a template: a driver with a name of its own and a member of this workspace, so that it compiles, lints and
//! passes the suite whenever the rest does. Those of `http` and `file` are in `xtask/templates`; that of `sql` is the driver
//! of SQLite itself. What an author replaces is its client and its types, not its shape.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::args::Args;
use crate::{Outcome, outside, packages, shell, workspace};

/// What a driver talks to, and the template of its kind.
#[derive(Debug)]
struct DriverKind {
    name: &'static str,
    about: &'static str,
    directory: &'static str,
    /// The family of the template, which the new driver's takes the place of.
    family: &'static str,
    names: Names,
    roles: &'static [&'static str],
}

/// What of a template has its family's name in it.
#[derive(Debug)]
enum Names {
    /// Types that begin so, and every identifier with the family as one of its words.
    Prefix(&'static str),
    /// These alone, where the library below the driver has the same name: its types and functions keep theirs.
    Listed(&'static [&'static str]),
}

const KINDS: &[DriverKind] = &[
    DriverKind {
        name: "http",
        about: "a JSON API with cursor paging: an extractor",
        directory: "xtask/templates/http",
        family: "sampleapi",
        names: Names::Prefix("SampleApi"),
        roles: &["extractor"],
    },
    DriverKind {
        name: "file",
        about: "files, or a client that blocks: an extractor and a writer",
        directory: "xtask/templates/file",
        family: "samplefile",
        names: Names::Prefix("SampleFile"),
        roles: &["extractor", "writer"],
    },
    DriverKind {
        name: "sql",
        about: "a SQL database: an extractor and a writer",
        directory: "crates/osiris-driver-sqlite",
        family: "sqlite",
        names: Names::Listed(&[
            "\"sqlite\"",
            "SqliteExtractor",
            "SqliteFamily",
            "SqliteWriter",
            "osiris-driver-sqlite",
            "osiris_driver_sqlite",
            "sqlite.extractor",
            "sqlite.writer",
            "sqlite:\n",
        ]),
        roles: &["extractor", "writer"],
    },
];

/// The facade: what it exports and registers, and the table of families with their Cargo features.
const FACADE: &str = "crates/osiris/src/lib.rs";

pub(crate) fn main(mut args: Args) -> Outcome {
    let kind = args.option("--kind")?;
    let outside = args.option("--path")?;
    let name = args.word().ok_or("which name? `cargo xtask new-driver mongodb --kind http`")?;
    args.finish()?;
    let kind = DriverKind::parse(kind.as_deref())?;
    check_name(&name, &workspace::drivers()?)?;
    if let Some(directory) = outside {
        return make_outside(kind, &name, Path::new(&directory));
    }
    let version = workspace::version()?;
    let facade = workspace::read(FACADE)?;
    let existing = last_registered(&facade, workspace::drivers()?).ok_or("the facade registers no driver")?;
    let root = with_dependency(&workspace::read("Cargo.toml")?, &name, &version)?;
    let manifest = with_feature(&workspace::read("crates/osiris/Cargo.toml")?, kind, &name, &existing)?;
    let facade = with_family(&with_registration(&facade, &name, &existing)?, &name)?;
    let directory = Path::new("crates").join(format!("osiris-driver-{name}"));
    for (path, text) in template(kind)? {
        workspace::write(directory.join(path), &renamed(&text, kind, &name))?;
    }
    for licence in packages::LICENCES {
        workspace::write(directory.join(licence), &workspace::read(licence)?)?;
    }
    workspace::write("Cargo.toml", &root)?;
    workspace::write("crates/osiris/Cargo.toml", &manifest)?;
    workspace::write(FACADE, &facade)?;
    let package = format!("osiris-driver-{name}");
    shell::run(&mut shell::cargo(&["fmt", "-p", &package, "-p", "osiris"]))?;
    // The crate's entry in Cargo.lock, and nothing else: the other tasks run with `--locked`.
    shell::run(&mut shell::cargo(&["update", "--quiet", "--workspace"]))?;
    println!("made {} and its feature `{name}` of the facade", directory.display());
    println!("next: cargo xtask test-drivers --driver {name}, then docs/writing-a-driver.md");
    Ok(())
}

/// A crate in a directory of its own, member of no workspace, with a program that has the driver.
fn make_outside(kind: &DriverKind, name: &str, directory: &Path) -> Outcome {
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let directory = here.join(directory);
    if directory.exists() {
        return Err(format!("{}: is there already", directory.display()));
    }
    write_outside(kind.name, name, &directory)?;
    shell::run(shell::cargo(&["fmt"]).current_dir(&directory))?;
    println!("made {}: a driver, and a program that has it beside those of Osiris", directory.display());
    println!("next: cargo test --features bundled, then docs/driver-contract.md");
    Ok(())
}

/// The files of such a crate.
pub(crate) fn write_outside(kind: &str, name: &str, directory: &Path) -> Outcome {
    let kind = DriverKind::parse(Some(kind))?;
    let ours = workspace::read("Cargo.toml")?;
    for (path, text) in template(kind)? {
        let text = renamed(&text, kind, name);
        let text = if path == Path::new("Cargo.toml") { outside::manifest(&text, &ours)? } else { text };
        workspace::write(directory.join(path), &text)?;
    }
    workspace::write(directory.join("src/main.rs"), &outside::program(name))
}

impl DriverKind {
    fn parse(name: Option<&str>) -> Outcome<&'static Self> {
        let kinds = || {
            let lines: Vec<String> = KINDS.iter().map(|kind| format!("  {:<6}{}", kind.name, kind.about)).collect();
            lines.join("\n")
        };
        let name = name.ok_or_else(|| format!("missing `--kind`: expected one of\n{}", kinds()))?;
        let kind = KINDS.iter().find(|kind| kind.name == name);
        kind.ok_or_else(|| format!("invalid kind `{name}`: expected one of\n{}", kinds()))
    }
}

fn check_name(name: &str, known: &[String]) -> Outcome {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !plain {
        return Err(format!("`{name}`: a driver's name is a family of components: lower-case letters and digits"));
    }
    if KINDS.iter().any(|kind| kind.family == name) || known.iter().any(|other| other == name) {
        Err(format!("there is a driver `{name}` already"))
    } else {
        Ok(())
    }
}

/// The files of a template, by their paths in it, sorted.
fn template(kind: &DriverKind) -> Outcome<Vec<(PathBuf, String)>> {
    let root = workspace::root().join(kind.directory);
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

/// A file of the template for the driver `name`, which may be published: identifiers of the template's family become those of the new
/// one, and nothing else does.
fn renamed(template: &str, kind: &DriverKind, name: &str) -> String {
    let text = template.replace("publish = false\n", "");
    let types = match &kind.names {
        Names::Prefix(types) => types,
        Names::Listed(names) => {
            let replace = |text: String, old: &&str| {
                let new = old.replace(kind.family, name).replace(&capitalized(kind.family), &capitalized(name));
                text.replace(old, &new)
            };
            return names.iter().fold(text, replace);
        }
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_part) {
        let length = rest[start..].find(|c| !is_part(c)).unwrap_or(rest.len() - start);
        renamed.push_str(&rest[..start]);
        renamed.push_str(&renamed_identifier(&rest[start..start + length], kind.family, types, name));
        rest = &rest[start + length..];
    }
    renamed + rest
}

/// `SampleApiExtractor` is a type, `osiris_driver_sampleapi` and `SAMPLEAPI_KEY` have the family as one of their words.
fn renamed_identifier(identifier: &str, family: &str, types: &str, name: &str) -> String {
    if let Some(rest) = identifier.strip_prefix(types) {
        return capitalized(name) + rest;
    }
    let upper = family.to_ascii_uppercase();
    let words = identifier.split('_').map(|word| match word {
        word if word == family => name.to_owned(),
        word if word == upper => name.to_ascii_uppercase(),
        word => word.to_owned(),
    });
    words.collect::<Vec<_>>().join("_")
}

/// `Mongodb`.
fn capitalized(name: &str) -> String {
    let (first, others) = name.split_at(1);
    first.to_ascii_uppercase() + others
}

/// The workspace's manifest with the crate among the dependencies.
fn with_dependency(manifest: &str, name: &str, version: &str) -> Outcome<String> {
    let line = format!("osiris-driver-{name} = {{ path = \"crates/osiris-driver-{name}\", version = \"{version}\" }}");
    after_last(manifest, "osiris-driver-", &line)
}

/// The facade's manifest with a feature of the driver's name, its optional dependency, and its place among all drivers.
fn with_feature(manifest: &str, kind: &DriverKind, name: &str, existing: &str) -> Outcome<String> {
    let manifest = replaced(manifest, &format!("\"{existing}\""), &format!("\"{existing}\", \"{name}\""))?;
    let components: Vec<String> = kind.roles.iter().map(|role| format!("{name}.{role}")).collect();
    let feature = format!("# {}\n{name} = [\"dep:osiris-driver-{name}\"]", components.join(", "));
    let manifest = after_last(&manifest, &format!("{existing} = ["), &feature)?;
    let dependency = format!("osiris-driver-{name} = {{ workspace = true, optional = true }}");
    after_last(&manifest, "osiris-driver-", &dependency)
}

/// The table of features with a line for the new family, in order.
fn with_family(source: &str, name: &str) -> Outcome<String> {
    let start = source.find("const FAMILIES: ").ok_or_else(|| format!("{FACADE}: no table `FAMILIES`"))?;
    let line = format!("    (\"{name}\", \"{name}\"),\n");
    let mut at = start + source[start..].find('\n').map_or(0, |end| end + 1);
    for other in source[at..].lines().take_while(|other| other.starts_with("    (")) {
        if *other > *line.trim_end() {
            break;
        }
        at += other.len() + 1;
    }
    Ok(format!("{}{line}{}", &source[..at], &source[at..]))
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

    fn kind(name: &str) -> &'static DriverKind {
        DriverKind::parse(Some(name)).unwrap()
    }

    #[test]
    fn a_name_is_a_family_and_new() {
        check_name("mongodb", &[]).unwrap();
        for bad in ["Mongo", "mongo-db", "2fast", "", "a.b"] {
            assert!(check_name(bad, &[]).is_err(), "{bad}");
        }
        assert!(check_name("sampleapi", &[]).is_err(), "it is a template's");
        assert!(check_name("duckdb", &["duckdb".to_owned()]).unwrap_err().contains("already"));
    }

    #[test]
    fn a_kind_is_one_of_the_templates() {
        for name in [None, Some("soap")] {
            let error = DriverKind::parse(name).unwrap_err();
            assert!(error.contains("\n  http  a JSON API") && error.contains("\n  sql   a SQL"), "{error}");
        }
    }

    #[test]
    fn nothing_of_a_template_is_left() {
        for kind in KINDS {
            let files = template(kind).unwrap();
            assert!(files.len() > 10, "{files:?}");
            for (path, text) in files {
                let text = renamed(&text, kind, "mongodb");
                let left = match &kind.names {
                    Names::Prefix(_) => text.to_ascii_lowercase().contains(kind.family),
                    Names::Listed(names) => names.iter().any(|name| text.contains(name)),
                };
                assert!(!left && !text.contains("publish ="), "{}", path.display());
            }
        }
    }

    #[test]
    fn identifiers_are_renamed_and_words_are_not() {
        let text = "SampleApiExtractor of sampleapi.extractor, a sample of Sample::new(3): osiris_driver_sampleapi, SAMPLEAPI_KEY";
        assert_eq!(
            renamed(text, kind("http"), "mongodb"),
            "MongodbExtractor of mongodb.extractor, a sample of Sample::new(3): osiris_driver_mongodb, MONGODB_KEY"
        );
    }

    #[test]
    fn the_library_below_a_driver_keeps_its_names() {
        let text = "sqlite.writer in osiris_driver_sqlite: SqliteWriter over sqlx::sqlite::SqliteRow, NAME = \"sqlite\", sqlite_schema";
        assert_eq!(
            renamed(text, kind("sql"), "mongodb"),
            "mongodb.writer in osiris_driver_mongodb: MongodbWriter over sqlx::sqlite::SqliteRow, NAME = \"mongodb\", sqlite_schema"
        );
        // What a name in the list no longer has would stay as it is without a word.
        let Names::Listed(names) = &kind("sql").names else { panic!("the template of `sql` has a list") };
        let all: String = template(kind("sql")).unwrap().into_iter().map(|(_, text)| text).collect();
        for name in *names {
            assert!(all.contains(name), "{name}");
        }
    }

    #[test]
    fn the_table_of_features_stays_sorted() {
        let source = workspace::read(FACADE).unwrap();
        for (name, before) in [("mongodb", "(\"graphql\", \"graphql\")"), ("zzz", "(\"supabase\", \"supabase\")")] {
            let wanted = format!("    {before},\n    (\"{name}\", \"{name}\"),\n");
            assert!(with_family(&source, name).unwrap().contains(&wanted), "{name}");
        }
        assert!(with_family("nothing", "mongodb").is_err());
    }

    #[test]
    fn the_facade_gets_a_feature_a_dependency_and_a_register_line() {
        let manifest =
            with_feature(&workspace::read("crates/osiris/Cargo.toml").unwrap(), kind("http"), "mongodb", "filesystem")
                .unwrap();
        for wanted in [
            "\"filesystem\", \"mongodb\"",
            "# mongodb.extractor\nmongodb = [\"dep:osiris-driver-mongodb\"]",
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

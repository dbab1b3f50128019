//! Small disks, in memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A disk, empty and large at first; gone when dropped.
pub(super) struct Disk(PathBuf);

impl Disk {
    /// One over a directory, which is made if it is missing.
    pub(super) fn mount(place: PathBuf) -> Self {
        std::fs::create_dir_all(&place).unwrap();
        assert!(works(Command::new("mount").args(["-t", "tmpfs", "-o", LARGE, "tmpfs"]).arg(&place)));
        Self(place)
    }

    pub(super) fn place(&self) -> &Path {
        &self.0
    }

    /// The bytes in use.
    pub(super) fn used(&self) -> u64 {
        let found = rustix::fs::statvfs(&self.0).unwrap();
        (found.f_blocks - found.f_bfree) * found.f_frsize
    }

    /// Leaves room for so many bytes more, and no others.
    pub(super) fn leave(&self, bytes: u64) {
        assert!(works(&mut self.remount(&format!("size={}", self.used() + bytes))));
    }

    /// Somebody makes room.
    pub(super) fn grow(&self) {
        assert!(works(&mut self.remount(LARGE)));
    }

    fn remount(&self, size: &str) -> Command {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{size}")]).arg(&self.0);
        command
    }
}

/// Enough for everything.
const LARGE: &str = "size=1024m,mode=700";

impl Drop for Disk {
    fn drop(&mut self) {
        // Files of it may still be open: of a server that is just ending.
        let _ = works(Command::new("umount").arg("-l").arg(&self.0));
    }
}

/// Whether this process may mount any.
pub(super) fn can_mount() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(directory.path());
        works(&mut mount) && works(Command::new("umount").arg(directory.path()))
    })
}

fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The bytes of all files below a directory.
pub(super) fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        found => found.map_or(0, |found| found.len()),
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_when_its_room_is_used_and_has_room_again_when_it_grows() {
        if !can_mount() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::mount(directory.path().join("disk"));
        std::fs::write(disk.place().join("old"), [1; 50_000]).unwrap();
        disk.leave(20_000);
        assert!(std::fs::write(disk.place().join("new"), [1; 50_000]).is_err());
        disk.grow();
        std::fs::write(disk.place().join("new"), [1; 50_000]).unwrap();
        assert_eq!(size(disk.place()), 100_000);
        drop(disk);
        assert_eq!(size(directory.path()), 0);
    }
}

//! How much memory there is: the cgroup's limit or the machine's, whichever is smaller.

use std::fs;

/// The share of the memory that a run takes by default, in percent.
const SHARE: u64 = 60;
/// What to assume where neither can be read.
const FALLBACK: u64 = 2 << 30;

/// The default memory limit in bytes: 60% of what the machine or the cgroup has.
pub fn default_memory_limit() -> u64 {
    let machine = machine_memory().unwrap_or(u64::MAX);
    let cgroup = cgroup_memory().unwrap_or(u64::MAX);
    match machine.min(cgroup) {
        u64::MAX => FALLBACK,
        bytes => bytes / 100 * SHARE,
    }
}

fn machine_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The limit of our own cgroup and of each of its parents (cgroup v2), or of the one of version 1.
fn cgroup_memory() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let v2 = own.lines().find_map(|line| line.strip_prefix("0::")).and_then(|path| {
        let mut path = std::path::PathBuf::from(path.trim_start_matches('/'));
        let mut smallest: Option<u64> = None;
        loop {
            let file = std::path::Path::new("/sys/fs/cgroup").join(&path).join("memory.max");
            if let Some(limit) = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) {
                smallest = Some(smallest.map_or(limit, |known| known.min(limit)));
            }
            if !path.pop() {
                return smallest;
            }
        }
    });
    v2.or_else(|| fs::read_to_string("/sys/fs/cgroup/memory/memory.limit_in_bytes").ok()?.trim().parse().ok())
}

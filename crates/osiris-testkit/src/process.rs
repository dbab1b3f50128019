//! What this process uses: memory, open files, write calls. Linux only; elsewhere every answer is `None`.

use std::fs;

/// The resident memory in bytes.
pub fn resident_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// The largest resident memory so far, or since [`reset_peak`], in bytes.
pub fn peak_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// Starts [`peak_bytes`] anew from the present size. Says whether the system allows it.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// How many files, sockets and pipes are open.
pub fn open_files() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// How often the process has called a `write` of the operating system.
pub fn write_calls() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("syscw:"))?.trim().parse().ok()
}

fn status_bytes(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

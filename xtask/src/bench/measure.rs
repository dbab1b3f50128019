//! Running a command with an eye on the clock and on its memory.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, shell};

/// How often the memory of a running command is looked at. The kernel keeps the peak itself; only growth in the last moments of
/// a process can be missed.
const INTERVAL: Duration = Duration::from_millis(5);

/// What a command took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// From start to end.
    pub(super) wall: Duration,
    /// The largest resident size, in bytes; none where the kernel does not say.
    pub(super) peak: Option<u64>,
}

/// Runs a command to its end; its output is thrown away, unless it fails.
pub(super) fn cost(command: &mut Command) -> Outcome<Cost> {
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("`{}` could not be started: {error}", shell::describe(command)))?;
    let errors = child.stderr.take().map(|stream| std::thread::spawn(move || std::io::read_to_string(stream)));
    let watcher = watch(&child);
    let status = child.wait().map_err(|error| error.to_string())?;
    let wall = started.elapsed();
    let peak = watcher.join().unwrap_or_default();
    if status.success() {
        return Ok(Cost { wall, peak });
    }
    let errors = errors.and_then(|reader| reader.join().ok()?.ok()).unwrap_or_default();
    Err(format!("`{}` failed ({status}):\n{errors}", shell::describe(command)))
}

/// Reads the peak from the kernel until the process has gone.
fn watch(child: &Child) -> std::thread::JoinHandle<Option<u64>> {
    let status = format!("/proc/{}/status", child.id());
    std::thread::spawn(move || {
        let mut peak = None;
        while let Some(now) = std::fs::read_to_string(&status).ok().and_then(|text| high_water(&text)) {
            peak = peak.max(Some(now));
            std::thread::sleep(INTERVAL);
        }
        peak
    })
}

/// `VmHWM` in bytes; none once the process is a zombie.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The middle of several.
pub(super) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(super) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_memory_of_a_command_are_measured() {
        let cost =
            cost(Command::new("sh").args(["-c", "head -c 30000000 /dev/zero | tail -c 1 >/dev/null; sleep 0.1"]))
                .unwrap();
        assert!(cost.wall >= Duration::from_millis(100));
        assert!(cost.peak.is_none_or(|peak| peak > 100_000), "{cost:?}");
    }

    #[test]
    fn a_command_that_fails_shows_why() {
        let error = cost(Command::new("sh").args(["-c", "echo because >&2; exit 2"])).unwrap_err();
        assert!(error.contains("because"), "{error}");
    }

    #[test]
    fn the_middle_and_the_peak_are_found() {
        let times = [5, 1, 3].map(Duration::from_secs).to_vec();
        assert_eq!(median(times), Duration::from_secs(3));
        assert_eq!(high_water("VmPeak:\t 9 kB\nVmHWM:\t    12 kB\n"), Some(12_288));
        assert_eq!(high_water("State:\tZ (zombie)\n"), None);
    }
}

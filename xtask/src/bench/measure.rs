//! Running a command with an eye on the clock and on its memory.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Row;
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
    /// What its threads computed together, in user and kernel mode; none where the kernel does not say.
    pub(super) cpu: Option<Duration>,
}

impl Cost {
    /// What it took more time than another command, which does a part of it. The memory stays its own.
    pub(super) fn beyond(self, part: Self) -> Self {
        let cpu = self.cpu.zip(part.cpu).map(|(all, part)| all.saturating_sub(part));
        Self { wall: self.wall.saturating_sub(part.wall), cpu, ..self }
    }
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
    let Seen { peak, cpu } = watcher.join().unwrap_or_default();
    if status.success() {
        return Ok(Cost { wall, peak, cpu });
    }
    let errors = errors.and_then(|reader| reader.join().ok()?.ok()).unwrap_or_default();
    Err(format!("`{}` failed ({status}):\n{errors}", shell::describe(command)))
}

/// What the kernel said of a process before it went.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    peak: Option<u64>,
    cpu: Option<Duration>,
}

/// Asks the kernel again and again until the process has gone.
fn watch(child: &Child) -> std::thread::JoinHandle<Seen> {
    let file = |name: &str| format!("/proc/{}/{name}", child.id());
    let (status, stat) = (file("status"), file("stat"));
    std::thread::spawn(move || {
        let mut seen = Seen::default();
        while let Some(now) = std::fs::read_to_string(&status).ok().and_then(|text| high_water(&text)) {
            seen.peak = seen.peak.max(Some(now));
            seen.cpu = seen.cpu.max(std::fs::read_to_string(&stat).ok().and_then(|text| computed(&text)));
            std::thread::sleep(INTERVAL);
        }
        seen
    })
}

/// `utime` and `stime`, which Linux counts in hundredths of a second (proc_pid_stat(5), fields 14 and 15).
fn computed(stat: &str) -> Option<Duration> {
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>().ok()?;
    Some(Duration::from_millis(ticks * 10))
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

/// The median times, and the largest memory.
pub(super) fn shown(costs: &[Cost]) -> String {
    let mut text = seconds(median(costs.iter().map(|cost| cost.wall).collect()));
    let cpu: Vec<Duration> = costs.iter().filter_map(|cost| cost.cpu).collect();
    if !cpu.is_empty() {
        text.push_str(&format!(", {:.1} s CPU", median(cpu).as_secs_f64()));
    }
    if let Some(peak) = costs.iter().filter_map(|cost| cost.peak).max() {
        text.push_str(&format!(", {}", megabytes(peak)));
    }
    text
}

/// Medians of what ran in turn, with the largest memory of each.
pub(super) fn compared(work: String, ours: &[Cost], limit: &str, theirs: &[Cost], target: &str) -> Row {
    let wall = |costs: &[Cost]| median(costs.iter().map(|cost| cost.wall).collect());
    let ratio = wall(ours).as_secs_f64() / wall(theirs).as_secs_f64();
    let (limit, ratio) = if theirs.is_empty() {
        (limit.to_owned(), "-".to_owned())
    } else {
        (format!("{limit}: {}", shown(theirs)), format!("{ratio:.2}"))
    };
    Row { work, osiris: shown(ours), limit, ratio, target: target.to_owned() }
}

/// What Osiris computed itself, of the time the runs took.
pub(super) fn share(work: &str, ours: &[Cost], target: &str) -> Row {
    let wall = median(ours.iter().map(|cost| cost.wall).collect());
    let cpu = median(ours.iter().filter_map(|cost| cost.cpu).collect());
    Row {
        work: format!("{work}: processor time of Osiris"),
        osiris: seconds(cpu),
        limit: format!("wall time: {}", seconds(wall)),
        ratio: format!("{:.2}", cpu.as_secs_f64() / wall.as_secs_f64()),
        target: target.to_owned(),
    }
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
        let stat = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 150 25 9 9 20 0";
        assert_eq!(computed(stat), Some(Duration::from_millis(1750)));
        assert_eq!(high_water("State:\tZ (zombie)\n"), None);
    }
}

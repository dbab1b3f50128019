//! One target in one mode: what a run takes when nothing happens to it, and what becomes of it when something does.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use fastrand::Rng;
use osiris_e2e::{Ended, Program, Project, Running, Signal as Unix};
use osiris_testkit::proxy::{Direction, Fault as Link, Proxy};

use super::fault::{Call, Fault, Signal};
use super::recovery::{Recovery, last_lines};
use super::table::{ROWS, Table, new_label};
use super::tally::Row;
use super::target::{Mode, Target};

/// Whether the system ended it.
fn was_killed(ended: &Ended) -> bool {
    ended.code < 0
}

/// How long a server is away.
const AWAY: Duration = Duration::from_secs(1);
/// How long a link that comes back is silent: longer than the limits of the connections.
const SILENT: Duration = Duration::from_secs(5);

pub(super) struct Case {
    mode: Mode,
    project: Project,
    proxy: Option<Proxy>,
    /// What an undisturbed run takes.
    took: Duration,
    up: u64,
    down: u64,
    syncs: u32,
    renames: u32,
}

impl Case {
    /// Sets it up and watches one run.
    pub(super) async fn new(target: &Target, mode: Mode) -> Self {
        let project = Project::with_steps(Program::built(), &target.steps(mode, ""));
        let rows = (1..=ROWS).map(|id| format!("{id},\"{}\"\n", new_label(id)));
        project.write("rows.csv", format!("id,label\n{}", rows.collect::<String>()));
        let proxy = target.address().map(|address| Proxy::start(address).unwrap());
        let port = proxy.as_ref().map_or(0, Proxy::port);
        project.write("osiris_connections.yaml", target.connections(port).to_string());
        let mut case = Self { mode, project, proxy, took: Duration::ZERO, up: 0, down: 0, syncs: 0, renames: 0 };
        case.watch(target).await;
        case
    }

    async fn watch(&mut self, target: &Target) {
        target.reset(&self.project, self.mode).await;
        let passed = |direction| self.proxy.as_ref().map_or(0, |proxy| proxy.passed(direction));
        let before = [passed(Direction::Up), passed(Direction::Down)];
        let begun = Instant::now();
        let ended = self.project.run(&["run", "pipeline.yaml"]);
        assert_eq!(ended.code, 0, "{} {}: {}", target.name(), self.mode.name(), ended.stderr);
        (self.took, self.up) = (begun.elapsed(), passed(Direction::Up) - before[0]);
        self.down = passed(Direction::Down) - before[1];
        let found = target.read(&self.project, self.mode).await;
        let wanted = Table::after(self.mode);
        assert_eq!((found.lost(&wanted), found.doubled(&wanted)), (0, 0), "{} {}", target.name(), self.mode.name());
        if can_trace() {
            target.reset(&self.project, self.mode).await;
            (self.syncs, self.renames) = self.count_calls();
        }
    }

    /// How many calls of each kind a run makes.
    fn count_calls(&self) -> (u32, u32) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let names = format!("trace={},{}", Call::Sync.names(), Call::Rename.names());
        let mut traced = self.traced(&["-o", log.path().to_str().unwrap(), "-e", &names], &[]);
        let ended = Ended::of(traced.output().unwrap()).with_code(0);
        drop(ended);
        let text = std::fs::read_to_string(log.path()).unwrap();
        let count = |call: Call| {
            let lines =
                text.lines().filter(|line| call.names().split(',').any(|name| line.contains(&format!(" {name}("))));
            u32::try_from(lines.count()).unwrap()
        };
        (count(Call::Sync), count(Call::Rename))
    }

    /// What happens to it: each kind of fault `repeats` times, or a few of them when that is 0.
    pub(super) fn faults(&self, target: &Target, repeats: usize, rng: &mut Rng) -> Vec<(Fault, Recovery)> {
        let mut faults = Vec::new();
        for _ in 0..repeats.max(1) {
            for signal in [Signal::Kill, Signal::Interrupt, Signal::Terminate, Signal::HangUp] {
                faults.push(Fault::Signal(signal, rng.f64()));
            }
            faults.push(Fault::Signal(Signal::Kill, 0.6 + rng.f64() * 0.4));
            faults.push(Fault::Twice(rng.f64() * 0.6));
            for (call, count) in [(Call::Sync, self.syncs), (Call::Rename, self.renames)] {
                if count > 0 {
                    faults.push(Fault::Point(call, rng.u32(1..=count)));
                    faults.push(Fault::NoSpace(call, rng.u32(1..=count)));
                }
            }
            if can_mount() {
                faults.push(Fault::SmallDisk(rng.u32(64..4_096)));
            }
            if target.address().is_some() {
                for direction in [Direction::Up, Direction::Down] {
                    faults.push(Fault::Cut(direction, rng.f64()));
                    faults.push(Fault::Stall(direction, rng.f64(), SILENT));
                    faults.push(Fault::Stall(direction, 0.9 + rng.f64() / 10.0, Duration::ZERO));
                    // Where the answer to the last statement is.
                    faults.push(Fault::Cut(direction, 0.98 + rng.f64() / 50.0));
                }
                faults.push(Fault::Restart(rng.f64()));
            }
        }
        if repeats == 0 {
            rng.shuffle(&mut faults);
            faults.truncate(3);
        }
        // Each of them twice: once resumed, once run anew.
        let recoveries = [Recovery::Resume, Recovery::Again];
        faults.into_iter().flat_map(|fault| recoveries.map(|recovery| (fault, recovery))).collect()
    }

    /// Lets it happen in a run with these options; goes on as an operator would, and counts.
    pub(super) async fn suffer(&self, target: &mut Target, fault: &Fault, way: &[&str], recovery: Recovery) -> Row {
        let mut row = Row::default();
        target.reset(&self.project, self.mode).await;
        let _ = std::fs::remove_dir_all(self.project.path(".osiris"));
        let disk = matches!(fault, Fault::SmallDisk(_)).then(|| Disk::mount(self.project.path("disk"), fault));
        let mut options = if disk.is_some() { vec!["--run-dir", "disk"] } else { Vec::new() };
        options.extend(way);
        let options = options.as_slice();
        let before = target.read(&self.project, self.mode).await;
        let Some(ended) = self.disturbed(target, fault, options, &mut row.story).await else {
            self.heal();
            return Row { hung: true, ..row };
        };
        let _ = writeln!(row.story, "$ osiris run pipeline.yaml -> {}\n{}", ended.code, last_lines(&ended));
        self.heal();
        let wanted = Table::after(self.mode);
        let seen = target.read(&self.project, self.mode).await;
        // Killed between its last record and its end: all is done, and its record says so.
        row.survived = ended.code == 0 || (was_killed(&ended) && self.is_recorded_as_done());
        let whole = seen == before || seen == wanted;
        row.half_written = !whole && !matches!(fault, Fault::Twice(_)) && target.is_all_or_nothing(self.mode);
        row.untrue = seen != before && ended.stderr.contains("the stopped steps have written no rows");
        if !row.survived {
            disk.iter().for_each(Disk::grow);
            recovery.go_on(target, &self.project, self.mode, options, &mut row.story).await;
        }
        let found = target.read(&self.project, self.mode).await;
        (row.lost, row.doubled) = (found.lost(&wanted), found.doubled(&wanted));
        let left = target.left_behind(&self.project).await;
        row.left_behind = !left.is_empty();
        let _ = writeln!(row.story, "lost {}, doubled {}, left behind {left:?}", row.lost, row.doubled);
        row
    }

    fn is_recorded_as_done(&self) -> bool {
        let listed = self.project.run(&["runs", "list", "--json"]);
        listed.code == 0 && listed.json()[0]["outcome"] == "done"
    }

    fn heal(&self) {
        self.proxy.iter().for_each(|proxy| proxy.set(Link::Pass));
    }

    /// Runs it with the fault.
    async fn disturbed(
        &self,
        target: &mut Target,
        fault: &Fault,
        options: &[&str],
        story: &mut String,
    ) -> Option<Ended> {
        let arguments = [&["run", "pipeline.yaml"], options].concat();
        let part = |share: f64| self.took.mul_f64(share);
        let bytes = |direction, share: f64| {
            let all = if direction == Direction::Up { self.up } else { self.down };
            (Duration::from_micros(all).mul_f64(share)).as_micros().try_into().unwrap_or(u64::MAX)
        };
        let start = || self.project.start(&arguments);
        match *fault {
            Fault::Signal(signal, share) => {
                let mut running = start();
                pause(&mut running, part(share)).await;
                running.signal(match signal {
                    Signal::Kill => Unix::KILL,
                    Signal::Interrupt => Unix::INT,
                    Signal::Terminate => Unix::TERM,
                    Signal::HangUp => Unix::HUP,
                });
                running.ended_within(LIMIT)
            }
            Fault::Point(call, nth) => self.injected(call, nth, "signal=KILL", options),
            Fault::NoSpace(call, nth) => self.injected(call, nth, "error=ENOSPC", options),
            Fault::SmallDisk(_) => start().ended_within(LIMIT),
            Fault::Cut(direction, share) => {
                self.link(Link::Cut { direction, after: bytes(direction, share) });
                start().ended_within(LIMIT)
            }
            Fault::Stall(direction, share, back) => {
                self.link(Link::Stall { direction, after: bytes(direction, share) });
                let mut running = start();
                if !back.is_zero() {
                    pause(&mut running, part(1.0) + back).await;
                    self.heal();
                }
                running.ended_within(LIMIT)
            }
            Fault::Restart(share) => {
                let mut running = start();
                pause(&mut running, part(share)).await;
                target.restart(AWAY).await;
                running.ended_within(LIMIT)
            }
            Fault::Twice(share) => {
                let mut share = share;
                loop {
                    let mut first = start();
                    pause(&mut first, part(share)).await;
                    let second = start().ended_within(LIMIT)?;
                    let first = first.ended_within(LIMIT)?;
                    if first.code == 0 && second.code == 0 && share > 0.01 {
                        // The first may have ended before the second began: then both have done what they were asked to. Two runs
                        // that begin together never do.
                        share /= 4.0;
                        target.reset(&self.project, self.mode).await;
                        let _ = std::fs::remove_dir_all(self.project.path(".osiris"));
                        continue;
                    }
                    let _ = writeln!(story, "the second run -> {}\n{}", second.code, last_lines(&second));
                    // The one that was started later may get the lock: the other is then told so and has nothing to recover.
                    let is_refused = first.code == 2 && first.stderr.contains("is already running");
                    return Some(if is_refused { second } else { first });
                }
            }
        }
    }

    fn link(&self, fault: Link) {
        self.proxy.iter().for_each(|proxy| proxy.set(fault));
    }

    /// Runs it with one call that fails or kills.
    fn injected(&self, call: Call, nth: u32, what: &str, options: &[&str]) -> Option<Ended> {
        let names = call.names();
        let trace = format!("trace={names}");
        let inject = format!("inject={names}:{what}:when={nth}");
        let mut command = self.traced(&["-e", &trace, "-e", &inject, "-o", "/dev/null"], options);
        Running::start(&mut command).ended_within(LIMIT)
    }

    fn traced(&self, words: &[&str], options: &[&str]) -> Command {
        let plain = self.project.command(&[&["run", "pipeline.yaml"], options].concat());
        let mut command = Command::new("strace");
        command.args(["-f", "-qq"]).args(words).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(self.project.directory()).stdin(std::process::Stdio::null());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

/// How long a run may take, whatever happens to it.
const LIMIT: Duration = Duration::from_secs(150);

/// Waits, or until the process has ended.
async fn pause(running: &mut Running, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time && !running.has_ended() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Whether calls of the program can be made to fail here.
fn can_trace() -> bool {
    works(Command::new("strace").args(["-f", "-o", "/dev/null", "true"]))
}

/// Whether a small disk can be had here.
fn can_mount() -> bool {
    let directory = tempfile::tempdir().unwrap();
    let mounted = works(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(directory.path()));
    mounted && works(Command::new("umount").arg(directory.path()))
}

/// A small disk in memory; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(place: PathBuf, fault: &Fault) -> Self {
        let Fault::SmallDisk(kilobytes) = fault else { panic!("{fault} has no disk") };
        std::fs::create_dir_all(&place).unwrap();
        let size = format!("size={kilobytes}k,mode=700");
        assert!(works(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&place)));
        Self(place)
    }

    /// Somebody makes room.
    fn grow(&self) {
        assert!(works(Command::new("mount").args(["-o", "remount,size=512m"]).arg(&self.0)));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = works(Command::new("umount").arg(&self.0));
        let _ = std::fs::remove_dir(&self.0);
    }
}

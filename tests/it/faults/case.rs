//! One target in one mode: what a run takes when nothing happens to it, and what becomes of it when something does.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use osiris_e2e::{Ended, Program, Project};
use osiris_testkit::proxy::{Direction, Fault as Link, Proxy};

use super::choice::Trial;
use super::disk::{Disk, size};
use super::fault::{Fault, Jump, Place};
use super::files;
use super::interpose::{Call, Interposer};
use super::recovery::{RUN, note};
use super::runner::{RUN_DISK, Runner};
use super::table::Table;
use super::tally::Row;
use super::target::{Mode, Target};

/// Whether the system ended it.
fn was_killed(ended: &Ended) -> bool {
    ended.code < 0
}

pub(super) struct Case {
    pub(super) mode: Mode,
    pub(super) project: Project,
    pub(super) proxy: Option<Proxy>,
    pub(super) interposer: Option<Interposer>,
    /// What an undisturbed run takes.
    pub(super) usual: Usual,
}

/// What a run takes.
#[derive(Debug, Default)]
pub(super) struct Usual {
    pub(super) time: Duration,
    /// Bytes to and from the server.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Calls by their kind.
    pub(super) calls: [u64; 4],
    /// Bytes of files and of the server's disk.
    pub(super) files: u64,
    pub(super) tables: u64,
}

impl Usual {
    pub(super) fn calls(&self, call: Call) -> u64 {
        self.calls[call as usize]
    }
}

impl Case {
    /// Sets it up and watches one run.
    pub(super) async fn new(target: &Target, mode: Mode) -> Self {
        let project = Project::with_steps(Program::built(), &target.steps(mode));
        let proxy = target.address().map(|address| Proxy::start(address).unwrap());
        let port = proxy.as_ref().map_or(0, Proxy::port);
        project.write("osiris_connections.yaml", target.connections(port).to_string());
        target.prepare(&project, mode);
        let mut case = Self { mode, project, proxy, interposer: Interposer::new(), usual: Usual::default() };
        case.watch(target).await;
        case
    }

    async fn watch(&mut self, target: &Target) {
        let runner = Runner::new(&self.project);
        self.begin_anew(target, &runner).await;
        let passed = |direction| self.proxy.as_ref().map_or(0, |proxy| proxy.passed(direction));
        let used = || [size(&self.project.path(files::OUT)), target.disk().map_or(0, Disk::used)];
        let before = (passed(Direction::Up), passed(Direction::Down), used());
        let begun = Instant::now();
        runner.run(RUN).with_code(0);
        let mut usual = Usual { time: begun.elapsed(), ..Usual::default() };
        (usual.sent, usual.received) = (passed(Direction::Up) - before.0, passed(Direction::Down) - before.1);
        [usual.files, usual.tables] = [0, 1].map(|index| used()[index].saturating_sub(before.2[index]));
        let found = target.read(&self.project, self.mode).await;
        let wanted = Table::after(self.mode);
        assert_eq!((found.lost(&wanted), found.doubled(&wanted)), (0, 0), "{:?}", self.mode);
        if let Some(interposer) = &self.interposer {
            self.begin_anew(target, &runner).await;
            interposer.disarm();
            Runner::new(&self.project).with_interposer(Some(interposer)).run(RUN).with_code(0);
            usual.calls = [Call::Sync, Call::Name, Call::Write, Call::Send].map(|call| interposer.count(call));
        }
        self.usual = usual;
    }

    /// Brings back what is there before a run, as if there had been none.
    pub(super) async fn begin_anew(&self, target: &Target, runner: &Runner<'_>) {
        let _ = std::fs::remove_dir_all(self.project.path(".osiris"));
        target.reset(runner, self.mode).await;
    }

    /// Lets the fault happen in a run; goes on as an operator would, and counts.
    pub(super) async fn run_trial(&self, target: &mut Target, trial: &Trial) -> Row {
        let mut row = Row::default();
        let fault = &trial.fault;
        let disk = self.mount(fault);
        let runner = Runner::new(&self.project)
            .with_options(trial.options)
            .with_run_disk(matches!(fault, Fault::SmallDisk(Place::Runs, _)))
            .with_interposer(self.interposer.as_ref().filter(|_| fault.needs_interposer()));
        self.prepare(target, &runner, fault).await;
        let small = disk.as_ref().or_else(|| target.disk().filter(|_| is_of_the_server(fault)));
        if let (Fault::SmallDisk(_, bytes), Some(small)) = (fault, small) {
            small.leave(*bytes);
        }
        let before = target.read(&self.project, self.mode).await;
        let earlier = runner.done_run();
        let ended = self.disturbed(target, fault, &runner, &mut row).await;
        self.restore_service();
        [disk.as_ref(), target.disk()].into_iter().flatten().for_each(Disk::grow);
        if is_of_the_server(fault) {
            target.revive().await;
        }
        if let Some(ended) = ended {
            note(&mut row.log, &runner.words(RUN), &ended);
            let wanted = Table::after(self.mode);
            let seen = target.read(&self.project, self.mode).await;
            // Killed between its last record and its end: all is done, and its record says so.
            row.survived = ended.code == 0 || (was_killed(&ended) && runner.is_done_since(earlier.as_ref()));
            let whole = seen == before || seen == wanted;
            row.half_written = !whole && !matches!(fault, Fault::Twice(_)) && target.is_all_or_nothing(self.mode);
            row.untrue = seen != before && ended.stderr.contains("the stopped steps have written no rows");
            row.gave_up = should_survive(fault) && !row.survived && (ended.code != 3 || target.can_tell(self.mode));
            self.recover(target, &runner, trial, &mut row).await;
        } else {
            row.hung = true;
        }
        if let Some(interposer) = &self.interposer {
            interposer.set_clock_ahead(0);
        }
        row
    }

    async fn recover(&self, target: &Target, runner: &Runner<'_>, trial: &Trial, row: &mut Row) {
        let is_cleaned_up = row.survived || !trial.recovery.go_on(target, runner, self.mode, row).await;
        if self.mode == Mode::ExtractNew {
            // There is nothing new: whatever it reads again is doubled.
            let ended = runner.run(RUN);
            note(&mut row.log, &runner.words(RUN), &ended);
            row.gave_up |= ended.code != 0;
        }
        let wanted = Table::after(self.mode);
        let found = target.read(&self.project, self.mode).await;
        (row.lost, row.doubled) = (found.lost(&wanted), found.doubled(&wanted));
        let mut left = target.left_behind(&self.project).await;
        if !is_cleaned_up {
            // The next writer removes them.
            left.retain(|name| !name.ends_with(".osiris-lock") && !name.contains(".osiris-tmp"));
        }
        row.left_behind = !left.is_empty();
        let _ = writeln!(row.log, "lost {}, doubled {}, left behind {left:?}", row.lost, row.doubled);
    }

    /// The disk of the fault, still with room for everything.
    fn mount(&self, fault: &Fault) -> Option<Disk> {
        match fault {
            Fault::SmallDisk(Place::Runs, _) => Some(Disk::mount(self.project.path(RUN_DISK))),
            Fault::SmallDisk(Place::Files, _) => Some(Disk::mount(self.project.path(files::OUT))),
            _ => None,
        }
    }

    /// What there is when the run begins.
    async fn prepare(&self, target: &Target, runner: &Runner<'_>, fault: &Fault) {
        let (Fault::Clock(Jump::AfterSuccess(_), seconds), Some(interposer)) = (fault, &self.interposer) else {
            self.begin_anew(target, runner).await;
            return;
        };
        interposer.set_clock_ahead(*seconds);
        self.begin_anew(target, runner).await;
        // With a cursor there has been a run already.
        if self.mode != Mode::ExtractNew {
            runner.run(RUN).with_code(0);
            target.reset(runner, self.mode).await;
        }
        interposer.set_clock_ahead(0);
    }

    /// Ends what is wrong with the network and with single calls.
    pub(super) fn restore_service(&self) {
        self.set_link(Link::Pass);
        self.interposer.iter().for_each(Interposer::disarm);
    }

    pub(super) fn set_link(&self, fault: Link) {
        self.proxy.iter().for_each(|proxy| proxy.set(fault));
    }
}

fn is_of_the_server(fault: &Fault) -> bool {
    matches!(fault, Fault::SmallDisk(Place::Server, _))
}

/// What a run survives as it is by default: a server that is away for a minute, a clock that jumps.
fn should_survive(fault: &Fault) -> bool {
    matches!(fault, Fault::Restart(..) | Fault::Clock(Jump::During(_), _))
}

//! Which faults a case meets.

use std::time::Duration;

use fastrand::Rng;
use osiris_testkit::proxy::Direction;

use super::case::Case;
use super::disk::can_mount;
use super::fault::{Fault, Jump, Place, Server, Signal};
use super::interpose::{Call, Effect, Strike};
use super::recovery::{RECOVERIES, Recovery};
use super::target::{Mode, Target};

/// How rows get from step to step: as by default, directly where that is possible; with the store in memory; through tables.
const WAYS: [&[&str]; 3] = [&[], &["--store", "memory"], &["--jobs", "1"]];

/// A fault, the options of the run that meets it, and who goes on.
pub(super) struct Trial {
    pub(super) fault: Fault,
    pub(super) options: &'static [&'static str],
    pub(super) recovery: Recovery,
}

/// How many of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    /// So many faults of any kind, none that takes long.
    Few(usize),
    /// Each kind so often, at random moments; then every sync and rename.
    All(usize),
}

/// How long a link that comes back is silent: longer than the limits of the connections.
const SILENT: Duration = Duration::from_secs(5);
/// How long a server is away: the longer times once for a target and mode, and once for a target.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// A run with more syncs or renames than this meets faults at so many of them, chosen at random.
const POINTS: usize = 40;
/// The last requests to a server: the commit is among them.
const LAST_SENDS: u64 = 6;
/// Seconds by which a clock jumps.
const JUMPS: [i64; 4] = [-86_400, -90, 3_600, 2 * 86_400];
/// Bytes on a disk that is too small for runs, as powers of two.
const RUN_DISK_BITS: std::ops::Range<u32> = 14..20;

impl Case {
    /// What happens to it. Each fault comes twice, once for each way to recover, but for those that take long. What comes
    /// first is more important.
    pub(super) fn trials(&self, target: &Target, extent: Extent, rng: &mut Rng) -> Vec<Trial> {
        let mut trials = Vec::new();
        let repeats = if let Extent::All(repeats) = extent { repeats } else { 1 };
        for fault in (0..repeats).flat_map(|_| self.each_kind(target, rng)).collect::<Vec<_>>() {
            let options = self.way(rng);
            trials.extend(RECOVERIES.map(|recovery| Trial { fault, options, recovery }));
        }
        match extent {
            Extent::Few(few) => {
                trials.retain(|trial| !matches!(trial.fault, Fault::Stall(..)));
                // Both of a pair.
                let mut pairs: Vec<Vec<Trial>> = Vec::new();
                while !trials.is_empty() {
                    pairs.push(trials.drain(..2).collect());
                }
                rng.shuffle(&mut pairs);
                pairs.into_iter().take(few).flatten().collect()
            }
            Extent::All(_) => {
                trials.extend(self.slow(target, rng));
                rng.shuffle(&mut trials);
                let mut points = self.every_point(rng);
                rng.shuffle(&mut points);
                trials.extend(points);
                trials
            }
        }
    }

    /// What an extract with a cursor has appended before it was killed can only be gone on with where the run can be resumed.
    fn way(&self, rng: &mut Rng) -> &'static [&'static str] {
        let ways = if self.mode == Mode::ExtractNew { &[WAYS[0], WAYS[2]][..] } else { &WAYS };
        ways[rng.usize(..ways.len())]
    }

    /// Faults that take long, once.
    fn slow(&self, target: &Target, rng: &mut Rng) -> Vec<Trial> {
        let Some(server) = target.server() else { return Vec::new() };
        let direction = if rng.bool() { Direction::Up } else { Direction::Down };
        let mut faults = vec![
            Fault::Stall(direction, 0.5 + rng.f64() / 2.0, Duration::ZERO),
            Fault::Restart(Server::Database, rng.f64(), LONG),
        ];
        if server.has_api() {
            faults.push(Fault::Restart(Server::Api, rng.f64(), LONG));
        }
        let with = |fault| Trial { fault, options: self.way(rng), recovery: RECOVERIES[rng.usize(..RECOVERIES.len())] };
        faults.into_iter().map(with).collect()
    }

    /// One fault of each kind.
    fn each_kind(&self, target: &Target, rng: &mut Rng) -> Vec<Fault> {
        let mut faults = vec![
            Fault::Signal(Signal::Kill, rng.f64()),
            Fault::Signal(Signal::Kill, 0.6 + rng.f64() * 0.4),
            Fault::Signal(Signal::Interrupt, rng.f64()),
            Fault::Signal(Signal::Terminate, rng.f64()),
            Fault::Signal(Signal::HangUp, rng.f64()),
            Fault::Twice(rng.f64() * 0.6),
        ];
        self.at_calls(&mut faults, rng);
        if can_mount() {
            let most = 1 << rng.u32(RUN_DISK_BITS);
            faults.push(Fault::SmallDisk(Place::Runs, rng.u64(most / 2..most)));
            let mut part = |bytes: u64| rng.u64(..=bytes + bytes / 10);
            if self.usual.files > 0 {
                faults.push(Fault::SmallDisk(Place::Files, part(self.usual.files)));
            }
            if self.usual.tables > 0 && target.disk().is_some() {
                faults.push(Fault::SmallDisk(Place::Server, part(self.usual.tables)));
            }
        }
        let Some(server) = target.server() else { return faults };
        for direction in [Direction::Up, Direction::Down] {
            faults.push(Fault::Cut(direction, rng.f64()));
            // Where the answer to the last statement is.
            faults.push(Fault::Cut(direction, 0.98 + rng.f64() / 50.0));
            faults.push(Fault::Stall(direction, rng.f64(), SILENT));
        }
        faults.push(Fault::Restart(Server::Database, rng.f64(), SHORT));
        if server.has_api() {
            faults.push(Fault::Restart(Server::Api, rng.f64(), SHORT));
        }
        faults
    }

    /// Faults at random calls, and clocks that jump.
    fn at_calls(&self, faults: &mut Vec<Fault>, rng: &mut Rng) {
        if self.interposer.is_none() {
            return;
        }
        let calls = [Call::Sync, Call::Name, Call::Write, Call::Send];
        let strike = |call: Call, effect, rng: &mut Rng| {
            let count = self.usual.calls(call);
            (count > 0).then(|| Strike { call, nth: rng.u64(1..=count), effect })
        };
        let side = |rng: &mut Rng| if rng.bool() { Effect::KillBefore } else { Effect::KillAfter };
        for call in calls {
            faults.extend(strike(call, side(rng), rng).map(Fault::At));
        }
        for call in [Call::Sync, Call::Name, Call::Write] {
            faults.extend(strike(call, Effect::NoSpace, rng).map(Fault::At));
        }
        faults.extend(strike(Call::Write, Effect::NoSpaceFromNowOn, rng).map(Fault::At));
        let kill = |rng: &mut Rng| {
            let call = if rng.bool() { Call::Sync } else { Call::Name };
            strike(call, side(rng), rng).expect("every run syncs and renames")
        };
        for jump in [
            Jump::During(rng.f64()),
            Jump::BeforeRecovery(kill(rng)),
            Jump::BetweenRuns(kill(rng), kill(rng)),
            Jump::AfterSuccess(kill(rng)),
        ] {
            faults.push(Fault::Clock(jump, JUMPS[rng.usize(..JUMPS.len())]));
        }
    }

    /// Before and after every sync and every change of a name, and the last requests to a server. Between two of them the state is
    /// the same: one is recovered by a new run, the other is resumed.
    fn every_point(&self, rng: &mut Rng) -> Vec<Trial> {
        if self.interposer.is_none() {
            return Vec::new();
        }
        let mut points = Vec::new();
        for call in [Call::Sync, Call::Name] {
            let mut chosen: Vec<u64> = (1..=self.usual.calls(call)).collect();
            if chosen.len() > POINTS {
                rng.shuffle(&mut chosen);
                chosen.truncate(POINTS);
            }
            points.extend(chosen.into_iter().map(|nth| (call, nth)));
        }
        let sends = self.usual.calls(Call::Send);
        points.extend((sends.saturating_sub(LAST_SENDS) + 1..=sends).map(|nth| (Call::Send, nth)));
        let sides = [(Effect::KillBefore, Recovery::Resume), (Effect::KillAfter, Recovery::Again)];
        // The calls were counted in a run without options.
        let trial = |(call, nth)| {
            sides.map(|(effect, recovery)| Trial {
                fault: Fault::At(Strike { call, nth, effect }),
                options: &[],
                recovery,
            })
        };
        points.into_iter().flat_map(trial).collect()
    }
}

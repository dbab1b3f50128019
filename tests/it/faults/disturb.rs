//! How each fault is brought about.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use osiris_e2e::{Ended, Running, Signal as Unix};
use osiris_testkit::proxy::{Direction, Fault as Link};

use super::case::Case;
use super::fault::{Fault, Jump, Place, Signal};
use super::interpose::{Interposer, Strike};
use super::recovery::{RUN, note};
use super::runner::Runner;
use super::tally::Row;
use super::target::Target;

/// How long a run may take, whatever happens to it.
const LIMIT: Duration = Duration::from_secs(240);
/// When somebody makes room on the disk of a server that a run waits for.
const ROOM_AFTER: Duration = Duration::from_secs(4);

impl Case {
    /// Runs it with the fault; nothing when it does not end.
    pub(super) async fn disturbed(
        &self,
        target: &mut Target,
        fault: &Fault,
        runner: &Runner<'_>,
        row: &mut Row,
    ) -> Option<Ended> {
        let part = |share: f64| self.usual.time.mul_f64(share);
        match *fault {
            Fault::Signal(signal, share) => {
                let mut running = runner.start(RUN);
                pause(&mut running, part(share)).await;
                row.missed = running.has_ended();
                running.signal(match signal {
                    Signal::Kill => Unix::KILL,
                    Signal::Interrupt => Unix::INT,
                    Signal::Terminate => Unix::TERM,
                    Signal::HangUp => Unix::HUP,
                });
                running.ended_within(LIMIT)
            }
            Fault::At(strike) => self.struck(runner, strike, row),
            Fault::SmallDisk(Place::Server, _) => {
                let mut running = runner.start(RUN);
                pause(&mut running, part(2.0) + ROOM_AFTER).await;
                if !running.has_ended() {
                    // MariaDB crashes when it cannot roll back for want of room, and is waited for.
                    target.disk().iter().for_each(|disk| disk.grow());
                    target.revive().await;
                }
                running.ended_within(LIMIT)
            }
            Fault::SmallDisk(Place::Runs | Place::Files, _) => runner.start(RUN).ended_within(LIMIT),
            Fault::Cut(direction, share) => {
                self.set_link(Link::Cut { direction, after: self.bytes(direction, share) });
                runner.start(RUN).ended_within(LIMIT)
            }
            Fault::Stall(direction, share, back) => {
                self.set_link(Link::Stall { direction, after: self.bytes(direction, share) });
                let mut running = runner.start(RUN);
                if !back.is_zero() {
                    pause(&mut running, part(1.0) + back).await;
                    self.restore_service();
                }
                running.ended_within(LIMIT)
            }
            Fault::Restart(server, share, away) => {
                let mut running = runner.start(RUN);
                pause(&mut running, part(share)).await;
                row.missed = running.has_ended();
                target.restart(server, away).await;
                running.ended_within(LIMIT)
            }
            Fault::Twice(share) => self.twice(target, runner, share, &mut row.log).await,
            Fault::Clock(jump, seconds) => self.with_clock(runner, jump, seconds, row).await,
        }
    }

    fn bytes(&self, direction: Direction, share: f64) -> u64 {
        let all = if direction == Direction::Up { self.usual.sent } else { self.usual.received };
        Duration::from_micros(all).mul_f64(share).as_micros().try_into().unwrap_or(u64::MAX)
    }

    fn interposer(&self) -> &Interposer {
        self.interposer.as_ref().expect("such faults are chosen only where it works")
    }

    /// Runs it with one call that fails or kills.
    fn struck(&self, runner: &Runner<'_>, strike: Strike, row: &mut Row) -> Option<Ended> {
        self.interposer().arm(strike);
        let ended = runner.start(RUN).ended_within(LIMIT);
        row.missed = self.interposer().count(strike.call) < strike.nth;
        self.interposer().disarm();
        ended
    }

    async fn twice(&self, target: &Target, runner: &Runner<'_>, mut share: f64, log: &mut String) -> Option<Ended> {
        loop {
            let mut first = runner.start(RUN);
            pause(&mut first, self.usual.time.mul_f64(share)).await;
            let second = runner.start(RUN).ended_within(LIMIT)?;
            let first = first.ended_within(LIMIT)?;
            if first.code == 0 && second.code == 0 && share > 0.01 {
                // The first may have ended before the second began: then both have done what they were asked to. Two runs that
                // begin together never do.
                share /= 4.0;
                self.begin_anew(target, runner).await;
                continue;
            }
            let _ = writeln!(log, "the second run:");
            note(log, &runner.words(RUN), &second);
            // The one that was started later may get the lock: the other is then told so and has nothing to recover.
            let is_refused = first.code == 2 && first.stderr.contains("is already running");
            return Some(if is_refused { second } else { first });
        }
    }

    async fn with_clock(&self, runner: &Runner<'_>, jump: Jump, seconds: i64, row: &mut Row) -> Option<Ended> {
        let interposer = self.interposer();
        match jump {
            Jump::During(share) => {
                let mut running = runner.start(RUN);
                pause(&mut running, self.usual.time.mul_f64(share)).await;
                row.missed = running.has_ended();
                interposer.set_clock_ahead(seconds);
                running.ended_within(LIMIT)
            }
            Jump::BeforeRecovery(strike) => {
                let ended = self.struck(runner, strike, row);
                interposer.set_clock_ahead(seconds);
                ended
            }
            Jump::BetweenRuns(one, other) => {
                let earlier = runner.done_run();
                let first = self.struck(runner, one, row)?;
                interposer.set_clock_ahead(seconds);
                if first.code == 0 || runner.is_done_since(earlier.as_ref()) {
                    return Some(first);
                }
                note(&mut row.log, &runner.words(RUN), &first);
                self.struck(runner, other, row)
            }
            Jump::AfterSuccess(strike) => self.struck(runner, strike, row),
        }
    }
}

/// Waits, or until the process has ended.
async fn pause(running: &mut Running, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time && !running.has_ended() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

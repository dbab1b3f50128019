//! Runs the matrix: targets side by side, each with its own server, and the faults of each in a random order.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::Semaphore;

use super::case::Case;
use super::choice::{Extent, MINUTE, Trial};
use super::disk::can_mount;
use super::fault::{Fault, Server};
use super::interpose::Interposer;
use super::recovery::Recovery;
use super::tally::{Row, Tally};
use super::target::{Mode, TARGETS, Target};

/// How the matrix is cut.
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) targets: Vec<(String, Extent)>,
    /// No new fault is begun after this long.
    pub(super) limit: Duration,
    /// Only these targets, or one mode of a target: `MySQL`, `MySQL extract`. All when empty.
    pub(super) only: Vec<String>,
    /// Whether a machine that does not let small disks be mounted lacks a tool.
    pub(super) needs_mount: bool,
}

impl Plan {
    fn modes(&self, target: &str) -> Vec<Mode> {
        let of_target = TARGETS.iter().filter(|(name, _)| *name == target).flat_map(|(_, modes)| modes.iter().copied());
        let is_wanted = |mode: &Mode| {
            let both = format!("{target} {}", mode.name());
            self.only.is_empty() || self.only.iter().any(|part| *part == target || *part == both)
        };
        of_target.filter(is_wanted).collect()
    }

    /// A misspelt name would test nothing, and find nothing.
    fn check(&self) {
        let known = |part: &String| {
            TARGETS.iter().any(|(name, modes)| {
                part == name || modes.iter().any(|mode| *part == format!("{name} {}", mode.name()))
            })
        };
        for part in &self.only {
            assert!(known(part), "there is no target `{part}`: {:?}", TARGETS.map(|(name, _)| name));
        }
    }
}

/// Set where a tool that is missing is an error.
const TOOLS: &str = "OSIRIS_TEST_FAULTS_TOOLS";

/// What is left out for want of tools.
fn left_out(plan: &Plan) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if Interposer::new().is_none() {
        missing.push("faults at single system calls and clocks that jump: a C compiler `cc` is needed, and seccomp");
    }
    let is_required = std::env::var_os(TOOLS).is_some_and(|value| value == "required");
    assert!(missing.is_empty() || !is_required, "tools are missing: {missing:?}");
    if !can_mount() {
        missing.push("full disks: `mount` is not there or not permitted");
        assert!(!is_required || !plan.needs_mount, "tools are missing: {missing:?}");
    }
    missing
}

/// What the targets have in common while they are tested.
struct Common<'a> {
    plan: &'a Plan,
    begun: Instant,
    /// More faults at once than processors: most of them wait for something.
    places: Semaphore,
    tally: Mutex<Tally>,
}

/// Runs it and returns what was counted.
#[expect(clippy::print_stdout, reason = "an hour is long without a word")]
pub(super) async fn run(plan: &Plan) -> Tally {
    println!("seed {}", plan.seed);
    plan.check();
    let mut tally = Tally::default();
    left_out(plan).into_iter().for_each(|what| tally.leave_out(what));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let places = Semaphore::new(2 * processors + 2);
    let common = Common { plan, begun: Instant::now(), places, tally: Mutex::new(tally) };
    let runtime = tokio::runtime::Handle::current();
    // A thread for each, because a run of the program blocks it.
    std::thread::scope(|scope| {
        for (index, (name, extent)) in plan.targets.iter().enumerate() {
            let (common, runtime) = (&common, &runtime);
            let rng = Rng::with_seed(plan.seed.wrapping_add(index as u64));
            scope.spawn(move || runtime.block_on(common.test(name, *extent, rng)));
        }
    });
    common.tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Common<'_> {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everything happen to one target.
    #[expect(clippy::print_stdout, reason = "what is wrong is said when it is seen")]
    async fn test(&self, name: &str, extent: Extent, mut rng: Rng) {
        let modes = self.plan.modes(name);
        if modes.is_empty() {
            return;
        }
        let Some(mut target) = Target::named(name).await else {
            self.tally().leave_out(format!("{name}: its service is skipped"));
            return;
        };
        let mut cases = Vec::new();
        for mode in modes {
            let place = self.places.acquire().await;
            cases.push(Case::new(&target, mode).await);
            drop(place);
        }
        let mut trials: Vec<(usize, Trial)> = Vec::new();
        if matches!(extent, Extent::All(_)) && target.server().is_some() {
            let fault = Fault::Restart(Server::Database, rng.f64(), MINUTE);
            let trial = Trial { fault, options: &[], recovery: Recovery::Resume };
            trials.push((rng.usize(..cases.len()), trial));
        }
        // In turn, so that all modes are tested when the time is over before the end.
        let mut of_cases: Vec<_> =
            cases.iter().map(|case| case.trials(&target, extent, &mut rng).into_iter()).collect();
        loop {
            let before = trials.len();
            for (index, of_case) in of_cases.iter_mut().enumerate() {
                trials.extend(of_case.next().map(|trial| (index, trial)));
            }
            if trials.len() == before {
                break;
            }
        }
        for (number, (index, trial)) in trials.iter().enumerate() {
            let case = &cases[*index];
            let line = format!("{name} {}", case.mode.name());
            let place = self.places.acquire().await;
            // Each target is tested, however slow the machine is.
            let row = if number > 0 && self.begun.elapsed() > self.plan.limit {
                Row::not_run()
            } else {
                case.run_trial(&mut target, trial).await
            };
            drop(place);
            if !row.is_clean() {
                let (options, fault) = (trial.options.join(" "), &trial.fault);
                println!("{line}: {fault}, {:?} {options}\n{}", trial.recovery, row.log);
                if let Some(server) = target.server() {
                    println!("the server's log ends with:\n{}", last(&server.database().log()));
                }
            }
            self.tally().add(&line, trial.fault.kind(), row);
        }
    }
}

/// The last lines of a log.
fn last(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

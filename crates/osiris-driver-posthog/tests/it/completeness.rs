//! Whatever happens, nothing is lost: random events, many with one timestamp, some late; random pages; random faults;
//! runs that fail, and runs whose state is lost after they succeeded. All runs together have what the source has.

use std::collections::BTreeSet;

use osiris_stand_ins::posthog::{Event, PostHog, Trouble};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::{MINUTE, NOON, events, ids, step, timeless_bench};

/// Events of the long variant: set to a number, such as 200000, to run it.
const LONG: &str = "OSIRIS_TEST_POSTHOG_EVENTS";

#[derive(Debug, Clone)]
struct Course {
    seed: u64,
    runs: usize,
    events_per_run: usize,
    /// Percent of the queries that something happens to.
    trouble: u32,
    page_size: u32,
}

fn course() -> impl Strategy<Value = Course> {
    (any::<u64>(), 2..5_usize, 1..350_usize, 0..30_u32, 100..250_u32).prop_map(
        |(seed, runs, events_per_run, trouble, page_size)| Course { seed, runs, events_per_run, trouble, page_size },
    )
}

#[test]
fn all_runs_together_have_what_the_source_has() {
    let config = Config { cases: 6, failure_persistence: None, max_shrink_iters: 8, ..Config::default() };
    let mut runner = TestRunner::new(config);
    runner
        .run(&course(), |course| {
            play(&course);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_same_with_many_events() {
    let Some(events) = std::env::var_os(LONG).and_then(|text| text.to_str()?.parse::<usize>().ok()) else { return };
    for seed in 0..3 {
        play(&Course { seed, runs: 4, events_per_run: events / 4, trouble: 5, page_size: 5000 });
    }
}

fn play(course: &Course) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run_course(course));
}

async fn run_course(course: &Course) {
    let mut random = fastrand::Rng::with_seed(course.seed);
    let posthog = PostHog::start().unwrap();
    let (mut state, mut number, mut latest) = (None, 0, NOON);
    // What was read by runs whose state was kept, and by all of them.
    let (mut kept, mut all) = (BTreeSet::new(), BTreeSet::new());
    for run in 0..=course.runs {
        if run < course.runs {
            let arrived = some_events(&mut random, course.events_per_run, number, &mut latest);
            number += arrived.len() as u64;
            // Some arrive during the run: late, but by less than the lookback window.
            let (mut meanwhile, now): (Vec<Event>, Vec<Event>) =
                arrived.into_iter().partition(|event| event.timestamp > latest - 14 * MINUTE && random.u32(0..5) == 0);
            posthog.insert_events(&now).await.unwrap();
            while !meanwhile.is_empty() {
                let some = meanwhile.split_off(meanwhile.len() / 2);
                posthog.arrive_after(random.u64(1..9), some);
            }
            posthog.script((0..400).map(|_| {
                let happens = random.u32(0..100) < course.trouble;
                happens.then(|| Trouble::passing(random.usize(0..Trouble::KINDS)))
            }));
        } else {
            posthog.script([]);
        }
        let ended = one_run(&posthog, course, state.clone()).await;
        posthog.arrive_now().await.unwrap();
        let Some((taken, next)) = ended else {
            assert!(run < course.runs, "the last run, to which nothing happens, fails: {course:?}");
            continue;
        };
        let before = taken.len();
        let taken: BTreeSet<String> = taken.into_iter().collect();
        assert_eq!(taken.len(), before, "a run has a row twice: {course:?}");
        all.extend(taken.iter().cloned());
        if run == course.runs || random.u32(0..5) > 0 {
            let twice: Vec<&String> = taken.intersection(&kept).collect();
            assert!(twice.is_empty(), "two runs have the same rows: {twice:?} {course:?}");
            kept.extend(taken);
            state = Some(next);
        }
    }
    let source: BTreeSet<String> = posthog.event_ids().await.unwrap().into_iter().collect();
    assert_eq!(kept.len(), source.len(), "{course:?}");
    assert!(kept == source && all == source, "{course:?}");
}

/// Events after the latest, many with the same timestamp, some late by less than the lookback window.
fn some_events(random: &mut fastrand::Rng, count: usize, first: u64, latest: &mut i64) -> Vec<Event> {
    let before = *latest;
    let mut time = *latest;
    let timestamps: Vec<i64> = (0..count)
        .map(|_| {
            match random.u32(0..10) {
                0 => return before - random.i64(0..14 * MINUTE),
                1..=6 => {}
                7 | 8 => time += random.i64(1..1000),
                _ => time += random.i64(1..MINUTE),
            }
            time
        })
        .collect();
    *latest = time;
    events(first, timestamps)
}

/// The rows and the state of a run; nothing when it fails.
async fn one_run(posthog: &PostHog, course: &Course, state: Option<Value>) -> Option<(Vec<String>, Value)> {
    let bench = timeless_bench();
    let step = step(&bench, posthog, json!({"page_size": course.page_size}));
    let step = match state {
        Some(state) => step.state(state),
        None => step,
    };
    let output = step.run().await.ok()?;
    assert_eq!(output.counts.read, output.counts.stored + output.counts.deduplicated);
    Some((ids(&bench, "uuid").await, output.state.unwrap()))
}

//! Fuzz targets: text of a corpus, changed at random, for whatever parses text from outside. Each target holds what must be true
//! of every text, not only that nothing panics.
//!
//! A normal run takes a second for each target, with fixed seeds. `cargo xtask fuzz --seconds N` takes N seconds for each, with
//! seeds of the moment. What fails is made smaller by proptest and printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]
#![allow(clippy::print_stdout, reason = "whoever lets it run for long wants to know how many texts were tried")]

mod mutate;
mod rows;
mod sql;
mod text;

use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// What a target says of one text.
type Verdict = Result<(), TestCaseError>;

/// Cases between two looks at the clock.
const CASES: u32 = 64;

#[expect(clippy::disallowed_methods, reason = "a test may be asked to run for longer")]
fn patience() -> Option<Duration> {
    std::env::var("OSIRIS_FUZZ_SECONDS").ok()?.parse().ok().map(Duration::from_secs)
}

/// Tries texts made of `corpus`, whose seeds are separated by lines of `%%`, until the time is over.
fn fuzz(target: &str, corpus: &'static str, mut check: impl FnMut(&str) -> Verdict) {
    let seeds: Vec<&'static str> = corpus.split("\n%%\n").map(|seed| seed.strip_suffix('\n').unwrap_or(seed)).collect();
    assert!(seeds.len() > 5, "{target} has {} seeds", seeds.len());
    let patience = patience();
    let (started, limit) = (Instant::now(), patience.unwrap_or(Duration::from_secs(1)));
    let check = std::cell::RefCell::new(&mut check);
    let tried = std::cell::Cell::new(0_u64);
    for seed in &seeds {
        (check.borrow_mut())(seed).unwrap_or_else(|error| panic!("{target}: {error}\nof the seed {seed:?}"));
    }
    for round in 0_u64.. {
        let mut bytes = [0; 32];
        let salt = if patience.is_some() { fastrand::u64(..) } else { 0 };
        bytes[..8].copy_from_slice(&round.to_le_bytes());
        bytes[8..16].copy_from_slice(&salt.to_le_bytes());
        let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let outcome = TestRunner::new_with_rng(config, rng).run(&mutate::texts(&seeds), |text| {
            tried.set(tried.get() + 1);
            (check.borrow_mut())(&text)
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(reason, text)) => panic!("{target}: {reason}\nof the text {text:?}"),
            Err(TestError::Abort(reason)) => panic!("{target}: {reason}"),
        }
        if started.elapsed() >= limit {
            break;
        }
    }
    println!("{target}: {} texts in {} s", tried.get(), started.elapsed().as_secs());
}

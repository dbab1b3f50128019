//! What is recorded of a commit, and what is counted: before it, and after it.

use std::time::Duration;

use osiris_core::ErrorKind;
use serde_json::json;

use super::Bench;

#[tokio::test]
async fn s4_books_that_do_not_balance_after_a_commit_are_ambiguous() {
    let bench = Bench::new().await;
    let failure = bench.write(json!({"lost": 1})).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts, failure.counts.read), (ErrorKind::Ambiguous, 1, 3));
    let report = failure.error.report();
    assert!(report.contains("the rows were committed to table `t`"), "{report}");
    assert!(report.contains("3 rows were to be written, but the destination accounts for 2"), "{report}");
    assert!(!report.contains("no row of this step was kept"), "{report}");
    let failure = bench.write(json!({"lost": 1, "repeatable": true})).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Integrity);
    assert!(!failure.error.report().contains("no row of this step was kept"));
}

#[tokio::test]
async fn s49_books_that_do_not_balance_before_a_commit_end_the_step_and_nothing_is_written() {
    for repeatable in [false, true] {
        let bench = Bench::new().await;
        let failure = bench.write(json!({"uncounted": 1, "repeatable": repeatable})).await.unwrap_err();
        assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Integrity, 1));
        assert!(!failure.may_have_written && failure.error.report().contains("nothing was committed"), "{failure:?}");
        assert_eq!((bench.writes(), bench.lines()), (0, Vec::new()));
    }
    // Rows that become visible in parts are counted at the end.
    let bench = Bench::new().await;
    let failure = bench.write(json!({"uncounted": 1, "parts": true})).await.unwrap_err();
    assert_eq!((failure.error.kind(), bench.writes()), (ErrorKind::Ambiguous, 1));
}

#[tokio::test]
async fn s2_the_intent_is_durable_before_the_write_and_the_outcome_after_it() {
    let bench = Bench::new().await;
    bench.write(json!({})).await.unwrap();
    let lines = bench.lines();
    assert_eq!(lines[0], ("begun load 1 Some(3)".to_owned(), 0));
    assert!(lines[1].0.starts_with("load Committed") && lines[1].1 == 1, "{lines:?}");
    // One that only returns is recorded as well.
    let bench = Bench::new().await;
    bench.write(json!({"fault": "silent", "faulty_attempts": 9})).await.unwrap();
    assert!(bench.lines()[1].0.starts_with("load Committed"), "{:?}", bench.lines());
}

#[tokio::test]
async fn s60_a_write_whose_intent_cannot_be_recorded_does_not_begin() {
    let bench = Bench::with_log(true, Duration::ZERO).await;
    let failure = bench.write(json!({})).await.unwrap_err();
    assert_eq!((failure.attempts, bench.writes(), failure.may_have_written), (1, 0, false));
    let report = failure.error.report();
    assert!(
        report.contains("the write did not begin") && report.contains("free disk space for the run directory"),
        "{report}"
    );
}

#[tokio::test]
async fn s1_a_limit_that_strikes_while_the_intent_is_recorded_lets_nothing_be_written() {
    let bench = Bench::with_log(false, Duration::from_millis(100)).await.limited(30);
    let failure = bench.write(json!({})).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts, bench.writes()), (ErrorKind::Timeout, 3, 0));
    assert!(failure.error.message().contains("step timed out after 0.03 s"), "{:?}", failure.error);
    assert!(bench.lines()[1].0.contains("NotCommitted"), "{:?}", bench.lines());
}

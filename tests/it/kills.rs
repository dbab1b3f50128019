//! `kill -9` at random moments: no partial file is ever seen under its final name, and a resumed run writes the same bytes as
//! one that nobody disturbed.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use osiris_e2e::{Project, Signal};

use crate::{project, sql, write};

const OUTPUTS: [&str; 2] = ["out/rows.csv", "out/sums.parquet"];

/// How often the run is killed: OSIRIS_TEST_KILLS, or 10.
fn kills() -> u32 {
    let wanted = std::env::var_os("OSIRIS_TEST_KILLS");
    wanted.map_or(10, |text| text.to_str().unwrap().parse().expect("OSIRIS_TEST_KILLS is a number"))
}

fn pipeline() -> Project {
    let read = "  - {id: rows, component: filesystem.csv_extractor, mode: read, config: {path: rows.csv}}\n";
    let sums =
        sql("sums", "SELECT kind, sum(amount) AS amount, min(label) AS label FROM rows GROUP BY kind ORDER BY kind");
    let sums = sums.replace("mode: transform", "mode: transform, needs: [rows]");
    let csv = write("write-rows", "out/rows.csv").replace("mode: write", "mode: write, needs: [rows]");
    let parquet = "  - {id: write-sums, component: filesystem.parquet_writer, mode: write, needs: [sums], config: {path: out/sums.parquet}}\n";
    let project = project(&[read, &sums, &csv, parquet].concat());
    let mut text = "id,kind,amount,label\n".to_owned();
    for id in 0..60_000_u32 {
        writeln!(text, "{id},{},{}.25,label number {}", id % 1_000, id % 97, id * 7 % 10_007).unwrap();
    }
    project.write("rows.csv", text);
    project
}

fn outputs(project: &Project) -> [Option<Vec<u8>>; 2] {
    OUTPUTS.map(|path| std::fs::read(project.path(path)).ok())
}

#[test]
fn a_run_that_is_killed_leaves_no_partial_file_and_resumes_to_the_same_bytes() {
    let project = pipeline();
    let begun = Instant::now();
    project.run(&["run", "pipeline.yaml"]).with_code(0);
    let whole = begun.elapsed();
    let wanted = outputs(&project);
    assert!(wanted.iter().all(Option::is_some));
    let mut resumed = 0;
    for kill in 0..kills() {
        std::fs::remove_dir_all(project.path("out")).unwrap();
        let moment = Duration::from_micros(fastrand::u64(0..u64::try_from(whole.as_micros()).unwrap()));
        resumed += u32::from(killed_and_resumed(&project, moment, &wanted));
        assert_eq!(outputs(&project), wanted, "kill {kill} after {moment:?}");
    }
    assert!(resumed > 0, "no kill came while a run could be resumed");
}

/// Whether there was a run to resume.
fn killed_and_resumed(project: &Project, moment: Duration, wanted: &[Option<Vec<u8>>; 2]) -> bool {
    let before = project.runs().len();
    let begun = Instant::now();
    let mut running = project.start(&["run", "pipeline.yaml"]);
    while begun.elapsed() < moment && !running.has_ended() {
        assert_whole(&outputs(project), wanted, moment);
    }
    running.signal(Signal::KILL);
    let code = running.ended().code;
    assert_whole(&outputs(project), wanted, moment);
    if code == 0 {
        return false;
    }
    let run = project.runs().get(before).cloned();
    if run.as_deref().is_some_and(is_done) {
        return false;
    }
    let can_resume = run.as_deref().is_some_and(has_store);
    let again: &[&str] = if can_resume { &["run", "--resume"] } else { &["run", "pipeline.yaml"] };
    project.run(again).with_code(0);
    can_resume
}

/// Whether its record was complete before it was killed.
fn is_done(run: &Path) -> bool {
    let record = std::fs::read(run.join("run.json")).ok().and_then(|record| serde_json::from_slice(&record).ok());
    record.is_some_and(|record: serde_json::Value| record["outcome"] == "done")
}

fn has_store(run: &Path) -> bool {
    run.join("run.json").exists() && run.join("store.duckdb").exists()
}

#[track_caller]
fn assert_whole(found: &[Option<Vec<u8>>; 2], wanted: &[Option<Vec<u8>>; 2], moment: Duration) {
    for (path, (found, wanted)) in OUTPUTS.iter().zip(found.iter().zip(wanted)) {
        assert!(found.is_none() || found == wanted, "{path} is not whole, {moment:?} after the start");
    }
}

#[test]
fn an_old_file_stays_until_the_new_one_is_whole() {
    let project = pipeline();
    project.write(OUTPUTS[0], "the old file");
    let mut running = project.start(&["run", "pipeline.yaml"]);
    let seen = std::cell::RefCell::new(Vec::new());
    while !running.has_ended() {
        let now = std::fs::read(project.path(OUTPUTS[0])).expect("there is always a file");
        if seen.borrow().last() != Some(&now) {
            seen.borrow_mut().push(now);
        }
    }
    running.ended().with_code(0);
    let seen = seen.into_inner();
    assert!(seen.len() <= 2, "the old one, then the new one");
    assert_eq!(seen[0], b"the old file");
}

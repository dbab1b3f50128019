//! What became of a write that nobody saw end: an answer lost on the way, the process killed behind its commit. Each test is named
//! after its number.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use osiris_core::commit::{CommitEnd, CommitLog, CommitOutcome, CommitRecord};
use osiris_core::store::FileIdentity;
use osiris_core::{ErrorKind, Inputs, Result, RetryPolicy, StepRequest};
use osiris_stand_ins::supabase::Trouble;
use osiris_testkit::database::commits::{Log, Run};
use serde_json::json;

use crate::rest_world::World;

const WRITER: &str = "supabase.writer";
const DATA: &str = "SELECT i AS id, 'x' AS name FROM range(300) r(i)";

/// A table with a primary key, and one without.
const TABLES: &str = "CREATE TABLE t (id bigint PRIMARY KEY, name text); CREATE TABLE bare (id bigint, name text)";

#[tokio::test(flavor = "multi_thread")]
async fn s59_a_lost_answer_to_a_plain_append_over_rest_is_asked_for_by_the_primary_key() {
    let Some(world) = World::new(TABLES).await else { return };
    for trouble in [Trouble::DropAnswer, Trouble::LoseAnswer, Trouble::CutRequest] {
        world.execute("DELETE FROM t").await;
        for _ in 0..2 {
            world.gateway.next_for("POST", Trouble::Slow(Duration::ZERO));
        }
        world.gateway.next_for("POST", trouble.clone());
        let output = world.write(json!({"table": "t", "batch_size": 100}), DATA).await;
        let output = output.unwrap_or_else(|failure| panic!("{trouble:?}: {:?}", failure.error));
        assert_eq!((output.counts.inserted, output.attempts), (300, 1), "{trouble:?}");
        assert_eq!(world.rows("SELECT count(*), count(DISTINCT id) FROM t").await, "300|300", "{trouble:?}");
        world.gateway.calm();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s58_s59_an_append_over_rest_without_a_key_is_ambiguous_and_never_repeated() {
    let Some(world) = World::new(TABLES).await else { return };
    for _ in 0..2 {
        world.gateway.next_for("POST", Trouble::Slow(Duration::ZERO));
    }
    world.gateway.next_for("POST", Trouble::DropAnswer);
    let failure = world.write(json!({"table": "bare", "batch_size": 100}), DATA).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.attempts), (ErrorKind::Ambiguous, 1), "{:?}", failure.error);
    assert!(failure.error.report().contains("rows written before: 100"), "{}", failure.error.report());
    assert_eq!(world.rows("SELECT count(*) FROM bare").await, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn s60_a_run_that_resumes_an_append_over_rest_asks_for_the_keys() {
    let Some(world) = World::new(TABLES).await else { return };
    let log = Log::new(|| {});
    let connection = world.gateway.connection();
    let run = Run::new(&world.bench, WRITER, &connection, json!({"table": "t", "batch_size": 100}), DATA, &log).await;
    run.run().await.unwrap();
    let CommitOutcome::Committed { written: Some(written) } = run.asked(&log.intent()).await else {
        panic!("the rows are there");
    };
    assert_eq!(written.inserted, 300);
    world.execute("DELETE FROM t WHERE id < 10").await;
    assert_eq!(run.asked(&log.intent()).await, CommitOutcome::Unknown);
    world.execute("DELETE FROM t").await;
    assert_eq!(run.asked(&log.intent()).await, CommitOutcome::NotCommitted);
    let bare = Run::new(&world.bench, WRITER, &connection, json!({"table": "bare"}), DATA, &log).await;
    assert_eq!(bare.asked(&log.intent()).await, CommitOutcome::Unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn s60_a_run_that_resumes_one_over_the_database_asks_for_its_transaction() {
    let Some(world) = World::new(TABLES).await else { return };
    let log = Log::new(|| {});
    let connection = world.server.supabase_connection();
    let run = Run::new(&world.bench, WRITER, &connection, json!({"table": "t"}), DATA, &log).await;
    run.run().await.unwrap();
    assert_eq!(run.asked(&log.intent()).await, CommitOutcome::Committed { written: None });
    assert_eq!(log.intent().written().unwrap().inserted, 300);
}

/// Changes a file as soon as a commit has begun.
struct Changing(PathBuf);

impl CommitLog for Changing {
    fn begun(&self, _: &CommitRecord) -> Result<()> {
        std::fs::write(&self.0, "other").unwrap();
        Ok(())
    }

    fn ended(&self, _: &CommitRecord, _: &CommitEnd) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_its_rows_are_sent_sweeps_nothing_and_is_no_success() {
    let Some(world) = World::new(TABLES).await else { return };
    let file = world.bench.store().scratch_dir().join("rows");
    for (config, kind, rows) in [
        (json!({"table": "t", "mode": "overwrite", "key": "id"}), ErrorKind::Validation, "301|0"),
        (json!({"table": "bare"}), ErrorKind::Ambiguous, "1|300"),
        // Its keys are all there, and are those of other rows by now.
        (json!({"table": "t"}), ErrorKind::Ambiguous, "301|300"),
    ] {
        world.execute("DELETE FROM t; INSERT INTO t VALUES (1000, 'old')").await;
        std::fs::write(&file, "rows").unwrap();
        let files = vec![FileIdentity::of(&file).unwrap()];
        let sink = world.bench.store().sink("source").await.unwrap();
        sink.call(move |transaction| transaction.create_file_view_as(DATA, files, Vec::new(), &|_| false))
            .await
            .unwrap();
        let input = sink.finish().await.unwrap();
        let connection = world.gateway.connection();
        let step = world.bench.prepare(WRITER, &config, &connection).unwrap().into_step().unwrap();
        let request = StepRequest { retry: RetryPolicy::never(), ..StepRequest::new("write") };
        let context = world.bench.run_context().clone().with_commit_log(Arc::new(Changing(file.clone())));
        let failure = step.run(&request, &Inputs::one(input), &context.step("write")).await.unwrap_err();
        assert_eq!(failure.error.kind(), kind, "{:?}", failure.error);
        assert!(
            failure.error.report().contains("was changed while the run was reading it"),
            "{}",
            failure.error.report()
        );
        let counts = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM bare)";
        assert_eq!(world.rows(counts).await, rows, "the old row is still there");
    }
}

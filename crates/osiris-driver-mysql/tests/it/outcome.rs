//! Commits without an answer: what is found out, what is said, and that nothing is written twice.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use osiris_core::{
    CommitEnd, CommitLog, CommitOutcome, CommitRecord, ErrorKind, Inputs, Result, RetryPolicy, StepFailure, StepOutput,
};
use osiris_testkit::database::settled;
use osiris_testkit::database::write_faults::{connection, data, is_new, old, settings};
use osiris_testkit::proxy::{Direction, Fault, Proxy};
use osiris_testkit::services::MysqlOptions;
use serde_json::{Value, json};

use super::Server;
use super::subject::Writing;

/// A write of the tests of faults, with a table of commits where it is asked for.
fn config(mode: &str, marked: bool) -> Value {
    let mut config = settings(mode);
    if marked {
        config["commit_table"] = json!("osiris_commits");
    }
    config
}

struct World {
    writing: Writing,
    proxy: Proxy,
    connection: Value,
}

impl World {
    async fn new() -> Option<Self> {
        let writing = Writing::with(MysqlOptions::new()).await?;
        let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
        let mut connection = connection(&writing.server, &proxy);
        connection["read_timeout"] = json!(2);
        Some(Self { writing, proxy, connection })
    }

    async fn write(&self, config: Value, mode: &str, attempts: u32) -> Result<StepOutput, StepFailure> {
        let input = self.writing.bench.table("source", data(mode).as_str()).await.unwrap();
        let retry = RetryPolicy::times(attempts);
        let step = self.writing.bench.step("write", "mysql.writer", config).connection(self.connection.clone());
        step.input(&input).retry(retry).run().await
    }

    async fn prepare(&self) {
        self.writing.execute(&old::<Server>()).await;
    }

    /// How many bytes in this direction are needed for a write to succeed: the last of them belong to the commit.
    async fn enough(&self, direction: Direction, config: &Value, mode: &str) -> u64 {
        let (mut too_few, mut enough) = (0, 1 << 18);
        while too_few + 1 < enough {
            let middle = (too_few + enough) / 2;
            self.prepare().await;
            self.proxy.set(Fault::Cut { direction, after: middle });
            let outcome = self.write(config.clone(), mode, 1).await;
            self.proxy.set(Fault::Pass);
            settled(&self.writing.server).await;
            // One that asks the server afterwards has got no answer all the same.
            if outcome.is_ok() { enough = middle } else { too_few = middle }
        }
        enough
    }

    /// Waits until a session of the driver has sent its rows and nothing after them.
    async fn until_it_waits(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.writing.shown(SLEEPING).await == "0" {
            assert!(Instant::now() < deadline, "no session waits before its commit");
            // The server renews its view of transactions only when it was left alone for a tenth of a second.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }

    async fn is_new(&self, mode: &str, when: &str) -> bool {
        is_new(&self.writing.server, mode, when).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s59_an_append_whose_answer_is_lost_is_ambiguous_and_says_one_thing() {
    let Some(world) = World::new().await else { return };
    let enough = world.enough(Direction::Down, &config("append", false), "append").await;
    let mut ambiguous = 0;
    for less in 1..12 {
        world.prepare().await;
        world.proxy.set(Fault::Cut { direction: Direction::Down, after: enough - less });
        let outcome = world.write(config("append", false), "append", 3).await;
        world.proxy.set(Fault::Pass);
        settled(&world.writing.server).await;
        let Err(failure) = outcome else { continue };
        // A first attempt whose answer was lost is never followed by a second.
        world.is_new("append", &format!("{less} bytes less: {failure:?}")).await;
        if failure.error.kind() != ErrorKind::Ambiguous {
            continue;
        }
        ambiguous += 1;
        assert_eq!(failure.attempts, 1, "{failure:?}");
        let report = failure.error.report();
        assert!(
            report.contains("either all of the rows are there or none of them")
                && report.contains("so this will not change"),
            "{report}"
        );
        assert!(failure.error.hint().unwrap().contains("write them twice"), "{report}");
    }
    assert!(ambiguous > 0, "no cut fell into the answer to the commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s59_an_append_whose_answer_is_lost_is_found_by_its_row_in_the_table_of_commits() {
    let Some(world) = World::new().await else { return };
    let marked = config("append", true);
    let up = world.enough(Direction::Up, &marked, "append").await;
    let down = world.enough(Direction::Down, &marked, "append").await;
    let cuts = (0..12).flat_map(|less| [(Direction::Up, up - less), (Direction::Down, down - less)]);
    for (direction, after) in cuts {
        world.prepare().await;
        world.proxy.set(Fault::Cut { direction, after });
        let outcome = world.write(marked.clone(), "append", 1).await;
        world.proxy.set(Fault::Pass);
        settled(&world.writing.server).await;
        let when = format!("{direction:?} cut after {after} bytes: {outcome:?}");
        let new = world.is_new("append", &when).await;
        match outcome {
            Ok(output) => assert!(new && output.counts.inserted == 3000, "{when}"),
            Err(failure) => assert!(!new && failure.error.is_retryable() && !failure.may_have_written, "{when}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s57_a_commit_that_stalls_never_arrives_later() {
    let Some(world) = World::new().await else { return };
    for marked in [false, true] {
        let config = config("append", marked);
        let enough = world.enough(Direction::Up, &config, "append").await;
        world.prepare().await;
        world.proxy.set(Fault::Stall { direction: Direction::Up, after: enough - 3 });
        let failure = world.write(config, "append", 1).await.unwrap_err();
        if marked {
            assert!(failure.error.is_retryable() && !failure.may_have_written, "{failure:?}");
        } else {
            assert_eq!(failure.error.kind(), ErrorKind::Ambiguous, "{failure:?}");
            assert!(failure.error.report().contains("so this will not change"), "{failure:?}");
        }
        // The link is there again, and what was on its way arrives: at a session that is gone.
        world.proxy.set(Fault::Pass);
        settled(&world.writing.server).await;
        assert!(!world.is_new("append", "after the link came back").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s57_a_server_that_cannot_be_asked_leaves_the_outcome_open_and_says_so() {
    let Some(world) = World::new().await else { return };
    let config = config("append", false);
    let enough = world.enough(Direction::Up, &config, "append").await;
    world.prepare().await;
    world.proxy.set(Fault::Stall { direction: Direction::Up, after: enough - 3 });
    let outcome = world.write(config, "append", 1);
    let breaks = async {
        // Everything breaks, and whoever asks afterwards is not let in.
        world.until_it_waits().await;
        world.proxy.set(Fault::Refuse);
    };
    let (outcome, ()) = tokio::join!(outcome, breaks);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Ambiguous, "{failure:?}");
    assert!(failure.error.report().contains("may still appear"), "{failure:?}");
}

/// Sessions of the driver that wait in a transaction: they have changed rows.
const SLEEPING: &str = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_rows_modified >= 1000 \
    AND trx_mysql_thread_id IN (SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'osiris' AND COMMAND = 'Sleep')";

/// Writes while somebody holds the commit back on the server, and stops the step meanwhile: by its time limit or by Ctrl-C.
async fn stopped_while_it_commits(world: &World, config: &Value, mode: &str, by_limit: bool) {
    let when = format!("{mode}, by its limit: {by_limit}");
    let enough = world.enough(Direction::Up, config, mode).await;
    world.prepare().await;
    let mut connection = world.connection.clone();
    connection["read_timeout"] = json!(30);
    let bench = &world.writing.bench;
    let input = bench.table("source", data(mode).as_str()).await.unwrap();
    let step = bench.step("write", "mysql.writer", config.clone()).connection(connection).input(&input);
    let limit = Duration::from_secs(4);
    let step = step.retry(RetryPolicy::times(3));
    let step = if by_limit { step.timeout(limit) } else { step };
    world.proxy.set(Fault::Stall { direction: Direction::Up, after: enough - 3 });
    let started = Instant::now();
    let holds_the_commit = async {
        let mut other = world.writing.server.connect().await.unwrap();
        world.until_it_waits().await;
        // With this lock the server lets nobody commit.
        sqlx::raw_sql("FLUSH TABLES WITH READ LOCK").execute(&mut other).await.unwrap();
        world.proxy.set(Fault::Pass);
        if by_limit {
            tokio::time::sleep((limit + Duration::from_secs(2)).saturating_sub(started.elapsed())).await;
        } else {
            tokio::time::sleep(Duration::from_millis(500)).await;
            bench.run_context().cancel().cancel();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        sqlx::raw_sql("UNLOCK TABLES").execute(&mut other).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(step.run(), holds_the_commit);
    let output = outcome.unwrap_or_else(|failure| panic!("{when}: {:?}", failure.error));
    assert!(!by_limit || started.elapsed() > limit, "{when}");
    assert_eq!((output.attempts, output.rows), (1, 3000), "{when}");
    assert!(world.is_new(mode, &when).await, "{when}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s58_a_commit_that_takes_longer_than_the_step_may_is_waited_for() {
    let Some(world) = World::new().await else { return };
    for mode in ["append", "upsert"] {
        stopped_while_it_commits(&world, &config(mode, false), mode, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s58_a_run_that_is_cancelled_while_the_server_commits_learns_that_the_rows_are_there() {
    for (mode, marked) in [("append", false), ("append", true), ("upsert", false)] {
        // The cancellation is of the whole run.
        let Some(world) = World::new().await else { return };
        stopped_while_it_commits(&world, &config(mode, marked), mode, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s64_an_upsert_or_overwrite_whose_answer_is_lost_is_done_again() {
    let Some(world) = World::new().await else { return };
    for mode in ["upsert", "overwrite"] {
        let config = config(mode, false);
        let enough = world.enough(Direction::Down, &config, mode).await;
        let mut done_again = false;
        for less in 1..12 {
            world.prepare().await;
            world.proxy.set(Fault::Cut { direction: Direction::Down, after: enough - less });
            let outcome = world.write(config.clone(), mode, 3).await;
            world.proxy.set(Fault::Pass);
            settled(&world.writing.server).await;
            let when = format!("{less} bytes less: {outcome:?}");
            let new = world.is_new(mode, &when).await;
            match outcome {
                // The second attempt finds other rows, and its answers may be shorter.
                Ok(output) => {
                    assert!(new, "{mode}, {when}");
                    done_again |= output.attempts > 1;
                }
                Err(failure) => {
                    assert!(failure.error.is_retryable() && failure.attempts == 3, "{mode}, {when}");
                    done_again |= failure.may_have_written && new;
                }
            }
            if done_again {
                break;
            }
        }
        assert!(done_again, "{mode}: no cut fell into the answer to the commit");
    }
}

/// Keeps what a run would find after a crash.
#[derive(Default)]
struct Kept(Mutex<Vec<CommitRecord>>);

impl CommitLog for Kept {
    fn begun(&self, record: &CommitRecord) -> Result<()> {
        self.0.lock().unwrap().push(record.clone());
        Ok(())
    }

    fn ended(&self, _: &CommitRecord, _: &CommitEnd) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s60_a_run_that_was_killed_after_its_commit_learns_of_it_from_the_table_of_commits() {
    let Some(world) = World::new().await else { return };
    let Writing { server, bench, .. } = &world.writing;
    for (marked, create, expected) in [
        (true, false, CommitOutcome::Committed { written: None }),
        (false, false, CommitOutcome::Unknown),
        (false, true, CommitOutcome::Committed { written: None }),
    ] {
        world.prepare().await;
        let mut config = config("append", marked);
        if create {
            server.execute("DROP TABLE t").await.unwrap();
            config["create_table"] = json!(true);
        }
        let kept = Arc::new(Kept::default());
        let run = bench.run_context().clone().with_commit_log(Arc::clone(&kept) as Arc<dyn CommitLog>);
        let input = bench.table("source", data("append").as_str()).await.unwrap();
        let step = bench.step("write", "mysql.writer", config).connection(server.connection()).input(&input);
        let (prepared, request) = step.prepare().unwrap();
        let inputs = osiris_testkit::Bench::inputs([input]);
        prepared.run(&request, &inputs, &run.step("write")).await.unwrap();
        // All that is left of the run is its record.
        let record = kept.0.lock().unwrap().pop().unwrap();
        let asked = prepared.outcome(&request, &record.intent, &Inputs::default(), &run.step("write")).await.unwrap();
        assert_eq!(asked, expected, "marked: {marked}, create: {create}");
        if marked {
            server.execute("DELETE FROM osiris_commits").await.unwrap();
            let asked =
                prepared.outcome(&request, &record.intent, &Inputs::default(), &run.step("write")).await.unwrap();
            assert_eq!(asked, CommitOutcome::NotCommitted);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_of_commits_is_kept_small_and_has_to_have_transactions() {
    let Some(writing) = Writing::new().await else { return };
    writing
        .execute("CREATE TABLE t (id INT); CREATE TABLE mine (id CHAR(36), written_at DATETIME(6)) ENGINE=MyISAM")
        .await;
    let config = |table: &str| json!({"table": "t", "commit_table": table});
    writing.write(config("c"), "SELECT 1 AS id").await.unwrap();
    writing.execute("UPDATE c SET written_at = UTC_TIMESTAMP() - INTERVAL 31 DAY").await;
    writing.write(config("c"), "SELECT 2 AS id").await.unwrap();
    assert_eq!(writing.shown("SELECT COUNT(*) FROM c").await, "1");
    let report = writing.refused(config("mine"), "SELECT 3 AS id").await;
    assert!(report.contains("InnoDB"), "{report}");
    assert_eq!(writing.shown("SELECT COUNT(*) FROM t").await, "2");
}

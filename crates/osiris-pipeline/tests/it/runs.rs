//! Runs of small components: what happens to the run when its own records fail, and what a resumed run asks and
//! refuses.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use async_trait::async_trait;
use osiris_core::{
    CommitOutcome, Component, ComponentSpec, DestinationId, Error, ExecutionContext, Extract, Extracted, Intent,
    NoConnection, Registry, Result, Role, Step, TableRef, TableSink, Write, Written,
};
use osiris_pipeline::{
    ConnectionsFile, Environment, Outcome, PastRun, Plan, PlanOptions, RunOptions, RunReport, Runs, Silent, SourceFile,
    StepStatus,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Makes three rows.
struct Three;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Component for Three {
    const SPEC: ComponentSpec = ComponentSpec::new("test.three", "1", Role::Extract, "Three rows");
    type Connection = NoConnection;
    type Config = Nothing;
}

#[async_trait]
impl Extract for Three {
    async fn extract(&self, _: &Step<'_, Self>, out: &TableSink, _: &ExecutionContext) -> Result<Extracted> {
        let column: arrow::array::ArrayRef = Arc::new(Int64Array::from_iter_values(0..3));
        let batch = RecordBatch::try_from_iter([("v", column)]).unwrap();
        out.sender(batch.schema()).await?.send(batch).await?;
        Ok(Extracted::rows(3))
    }
}

/// What the world is like while a pipeline runs.
#[derive(Default)]
struct World {
    writes: AtomicU32,
    /// What a writer does once.
    plan: Mutex<Vec<&'static str>>,
    /// What the destination says when it is asked.
    knows: Mutex<Option<CommitOutcome>>,
    asked: AtomicU32,
}

/// Appends its rows to the world.
struct Appender(Arc<World>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AppenderConfig {
    /// Whether what is planned happens to this step.
    #[serde(default)]
    special: bool,
    /// Something to change.
    #[serde(default)]
    #[expect(dead_code, reason = "it is in the fingerprint")]
    note: Option<String>,
}

impl Component for Appender {
    const SPEC: ComponentSpec = ComponentSpec::new("test.appender", "1", Role::Write, "Appends");
    type Connection = NoConnection;
    type Config = AppenderConfig;
}

fn run_directory(ctx: &ExecutionContext) -> PathBuf {
    ctx.store().path().unwrap().parent().unwrap().to_path_buf()
}

/// Adds a row to a table that is committed.
async fn change(input: &TableRef, ctx: &ExecutionContext) {
    let sql = format!("INSERT INTO {} VALUES (7)", input.sql());
    let is_changed = ctx.store().call(move |connection| Ok(connection.execute_batch(&sql).is_ok())).await;
    assert!(is_changed.unwrap());
}

/// A directory where a file is to be written.
fn block(path: &Path) {
    let _ = std::fs::remove_file(path);
    std::fs::create_dir_all(path.join("in the way")).unwrap();
}

#[async_trait]
impl Write for Appender {
    fn destination(&self, _: &AppenderConfig, _: &NoConnection, _: &Path) -> DestinationId {
        DestinationId::table(["the world"], "rows")
    }

    async fn write(&self, step: &Step<'_, Self>, input: &TableRef, ctx: &ExecutionContext) -> Result<Written> {
        let special = if step.config().special { self.0.plan.lock().unwrap().pop() } else { None };
        let written = Written::inserted(input.rows());
        match special {
            Some("block ledger") => block(&run_directory(ctx).join("ledger.json")),
            Some("scratch is a file") => {
                let _ = std::fs::remove_dir_all(ctx.store().scratch_dir());
                std::fs::write(ctx.store().scratch_dir(), "x").unwrap();
            }
            Some("fail") => return Err(Error::validation("refused")),
            Some("change its input") => change(input, ctx).await,
            Some("change its input and fail") => {
                change(input, ctx).await;
                return Err(Error::validation("refused"));
            }
            Some("slow") => {
                let ledger = run_directory(ctx).join("ledger.json");
                // Until another step has made the ledger impossible to write.
                while !ledger.is_dir() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            _ => {}
        }
        let commit = ctx.begin_commit(Intent::new("the world").with_written(written)).await?;
        self.0.writes.fetch_add(1, SeqCst);
        if special == Some("lose the answer") {
            return Err(Error::network("the connection was lost"));
        }
        commit.committed(written).await;
        assert_ne!(special, Some("panic"), "as planned");
        Ok(written)
    }

    async fn outcome(
        &self,
        _: &Step<'_, Self>,
        _: &Intent,
        input: Option<&TableRef>,
        _: &ExecutionContext,
    ) -> Result<CommitOutcome> {
        self.0.asked.fetch_add(1, SeqCst);
        assert_eq!(input.map(TableRef::rows), Some(3));
        Ok(self.0.knows.lock().unwrap().unwrap_or(CommitOutcome::Unknown))
    }
}

struct Bench {
    directory: tempfile::TempDir,
    world: Arc<World>,
    registry: Registry,
}

const STEPS: &str = "  - {id: rows, component: test.three, mode: read, config: {}}
  - {id: a, component: test.appender, mode: write, needs: [rows], config: {special: true}}
  - {id: b, component: test.appender, mode: write, needs: [rows, a], config: {input_step: rows}}
";

impl Bench {
    fn new(planned: &[&'static str]) -> Self {
        let world = Arc::new(World::default());
        *world.plan.lock().unwrap() = planned.iter().rev().copied().collect();
        let mut registry = Registry::new();
        registry.extractor(Three).add().unwrap();
        registry.writer(Appender(Arc::clone(&world))).add().unwrap();
        Self { directory: tempfile::tempdir().unwrap(), world, registry }
    }

    fn plan(&self, steps: &str) -> Plan {
        let text = format!("oml_version: \"0.1.0\"\nname: test\nsteps:\n{steps}");
        let file = self.directory.path().join("pipeline.yaml");
        std::fs::write(&file, &text).unwrap();
        let source = Arc::new(SourceFile::from_text("pipeline.yaml", &text).with_path(file));
        let none = Environment::of(Vec::<(&str, &str)>::new());
        Plan::new(&source, &self.registry, &ConnectionsFile::none(), &none, &PlanOptions::default())
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
    }

    fn options(&self, force: bool) -> RunOptions {
        RunOptions { force, memory_limit: 200 << 20, ..RunOptions::new(self.directory.path().join(".osiris")) }
    }

    async fn run(&self, steps: &str) -> RunReport {
        osiris_pipeline::run::run(&self.plan(steps), &self.options(false), None, &Silent).await.unwrap()
    }

    fn past(&self) -> PastRun {
        Runs::below(&self.directory.path().join(".osiris")).list().unwrap().remove(0)
    }

    async fn resume(&self, steps: &str, force: bool) -> Result<RunReport> {
        let past = Runs::below(&self.directory.path().join(".osiris")).resumable(None, None, force)?;
        osiris_pipeline::run::run(&self.plan(steps), &self.options(force), Some(&past), &Silent).await
    }

    fn writes(&self) -> u32 {
        self.world.writes.load(SeqCst)
    }
}

/// The same steps, the first writer of which waits for so many other tables that they are not compared at every commit.
fn steps_of_many_tables() -> String {
    let ids: Vec<String> = (0..16).map(|number| format!("t{number}")).collect();
    let extract = |id: &String| format!("  - {{id: {id}, component: test.three, mode: read, config: {{}}}}\n");
    let waiting = format!("needs: [rows, {}], config: {{special: true, input_step: rows}}", ids.join(", "));
    let others: String = ids.iter().map(extract).collect();
    others + &STEPS.replace("needs: [rows], config: {special: true}", &waiting)
}

fn statuses(report: &RunReport) -> Vec<StepStatus> {
    report.steps.iter().map(|step| step.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_when_the_ledger_cannot_be_written_what_runs_is_waited_for_and_nothing_begins() {
    let bench = Bench::new(&["block ledger"]);
    let report = bench.run(STEPS).await;
    assert_eq!(statuses(&report), [StepStatus::Done, StepStatus::Done, StepStatus::Skipped]);
    assert_eq!((report.outcome, bench.writes()), (Outcome::Failed, 1));
    assert!(report.problems[0].contains("the record of the run could not be written"), "{:?}", report.problems);

    // Two writers side by side: the one that fails to be recorded ends first.
    let parallel =
        STEPS.replace("[rows, a]", "[rows]").replace("{input_step: rows}", "{special: true, input_step: rows}");
    let bench = Bench::new(&["block ledger", "slow"]);
    let report = bench.run(&parallel).await;
    assert_eq!(statuses(&report), [StepStatus::Done, StepStatus::Done, StepStatus::Done]);
    assert_eq!((report.outcome, bench.writes()), (Outcome::Failed, 2));
    // The record of commits has what the ledger lacks.
    std::fs::remove_dir_all(report.directory.join("ledger.json")).unwrap();
    let resumed = bench.resume(&parallel, false).await.unwrap();
    assert_eq!(statuses(&resumed), [StepStatus::Reused; 3]);
    assert_eq!((resumed.outcome, bench.writes(), bench.world.asked.load(SeqCst)), (Outcome::Done, 2, 0));
    assert_eq!(resumed.steps[1].counts.inserted, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_changed_is_found_at_the_end_of_a_run_and_made_again_by_the_next() {
    let bench = Bench::new(&["change its input and fail"]);
    let steps = steps_of_many_tables();
    let report = bench.run(&steps).await;
    assert_eq!((report.outcome, report.outcome.exit_code()), (Outcome::Integrity, 3));
    let problem = &report.problems[0];
    assert!(problem.contains("has changed the table of step `rows` after it was committed\nhint: "), "{problem}");

    let resumed = bench.resume(&steps, false).await.unwrap();
    let run = resumed.steps.iter().filter(|step| step.status == StepStatus::Done).map(|step| step.id.as_str());
    assert_eq!(run.collect::<Vec<_>>(), ["rows", "a", "b"]);
    assert_eq!(
        (resumed.outcome, resumed.steps.iter().map(|step| step.counts.inserted).sum::<u64>()),
        (Outcome::Done, 6)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_changed_a_table_has_failed_although_its_steps_are_done() {
    let bench = Bench::new(&["change its input"]);
    let steps = steps_of_many_tables();
    let report = bench.run(steps.split_once("  - {id: b,").unwrap().0).await;
    assert!(statuses(&report).iter().all(|status| *status == StepStatus::Done), "{:?}", statuses(&report));
    assert_eq!((report.outcome, report.problems.len()), (Outcome::Integrity, 1));
    let events = std::fs::read_to_string(report.directory.join("events.jsonl")).unwrap();
    let failed = events.lines().find(|line| line.contains("\"run_failed\"")).unwrap();
    assert!(failed.contains("SQL of a step has changed the table of step `rows`"), "{failed}");
    assert!(failed.contains("\"exit_code\":3") && failed.contains("\"category\":\"validation\""), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_does_not_read_a_table_that_was_changed() {
    let bench = Bench::new(&["change its input"]);
    let report = bench.run(&steps_of_many_tables()).await;
    let error = report.steps.iter().find(|step| step.id == "b").and_then(|step| step.error.as_ref()).unwrap();
    assert!(error.message().contains("has changed the table of step `rows`"), "{error:?}");
    assert!(error.hint().unwrap().contains("remove what writes from its SQL"), "{error:?}");
    assert_eq!((report.outcome, report.problems.len(), bench.writes()), (Outcome::Integrity, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_a_panic_after_the_commit_is_ambiguous_and_the_run_is_recorded() {
    let bench = Bench::new(&["panic"]);
    let report = bench.run(STEPS).await;
    assert_eq!(statuses(&report), [StepStatus::Done, StepStatus::Ambiguous, StepStatus::Skipped]);
    assert_eq!((report.outcome.exit_code(), bench.past().outcome()), (3, Outcome::Ambiguous));
    // Known to have committed, and not known to be right.
    let refused = bench.resume(STEPS, false).await.unwrap_err();
    assert!(refused.message().contains("has written already"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_scratch_files_that_cannot_be_removed_are_a_warning() {
    let bench = Bench::new(&["scratch is a file"]);
    let report = bench.run(STEPS).await;
    assert_eq!((report.outcome, report.problems.len(), report.warnings.len()), (Outcome::Done, 0, 1));
    assert!(report.warnings[0].contains("could not be removed"), "{:?}", report.warnings);
    assert_eq!(bench.past().outcome(), Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_an_ambiguous_step_has_a_status_of_its_own_and_is_not_resumed_without_force() {
    let bench = Bench::new(&["lose the answer"]);
    let report = bench.run(STEPS).await;
    assert_eq!(statuses(&report), [StepStatus::Done, StepStatus::Ambiguous, StepStatus::Skipped]);
    assert_eq!((report.outcome, report.outcome.exit_code(), bench.writes()), (Outcome::Ambiguous, 3, 1));
    let past = bench.past();
    let ledger = past.ledger().unwrap();
    assert_eq!((past.outcome(), ledger.steps[1].status), (Outcome::Ambiguous, StepStatus::Ambiguous));

    let refused = bench.resume(STEPS, false).await.unwrap_err();
    assert_eq!(refused.step(), Some("a"));
    assert!(refused.message().contains("it is not known whether it did"), "{refused:?}");
    assert!(
        refused.hint().unwrap().contains("the world") && refused.hint().unwrap().contains("--force"),
        "{refused:?}"
    );
    // What was refused is as it was.
    assert_eq!((bench.past().outcome(), bench.writes()), (Outcome::Ambiguous, 1));

    let forced = bench.resume(STEPS, true).await.unwrap();
    assert_eq!(statuses(&forced), [StepStatus::Reused, StepStatus::Done, StepStatus::Done]);
    assert_eq!((forced.outcome, bench.writes()), (Outcome::Done, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_step_is_done_by_the_word_of_the_user_and_stays_so() {
    // After it, the second appender fails once.
    let steps = STEPS.replace("{input_step: rows}", "{special: true, input_step: rows}");
    let bench = Bench::new(&["lose the answer", "fail"]);
    bench.run(&steps).await;
    let assume = |steps: &[&str]| RunOptions {
        assume_written: steps.iter().map(|step| (*step).to_owned()).collect(),
        user: Some("ann".to_owned()),
        ..bench.options(false)
    };
    let resume = async |options: RunOptions| {
        let past = Runs::below(&bench.directory.path().join(".osiris")).resumable(None, None, options.force)?;
        osiris_pipeline::run::run(&bench.plan(&steps), &options, Some(&past), &Silent).await
    };
    for (step, said) in [("rows", "no step `rows` that writes"), ("b", "is not ambiguous"), ("x", "no step `x`")] {
        let refused = resume(assume(&["a", step])).await.unwrap_err();
        assert!(refused.message().contains(said), "{refused:?}");
        assert_eq!((bench.past().outcome(), bench.writes()), (Outcome::Ambiguous, 1));
    }
    let failed = resume(assume(&["a"])).await.unwrap();
    assert_eq!(statuses(&failed), [StepStatus::Reused, StepStatus::Confirmed, StepStatus::Failed]);
    let past = bench.past();
    let confirmed = &past.ledger().unwrap().steps[1];
    assert_eq!(confirmed.confirmed.as_ref().unwrap().user.as_deref(), Some("ann"));
    assert_eq!((confirmed.counts.read, confirmed.counts.acknowledged()), (3, 0));
    // It need not be said again, and it is not said of what has changed.
    let changed = bench.resume(&steps.replacen("{special: true}", "{special: true, note: new}", 1), false).await;
    assert!(changed.unwrap_err().message().contains("has changed since"));
    let done = bench.resume(&steps, false).await.unwrap();
    assert_eq!(statuses(&done), [StepStatus::Reused, StepStatus::Confirmed, StepStatus::Done]);
    assert_eq!((done.outcome, done.steps[1].counts.inserted), (Outcome::Done, 0));
    // A new run would write other rows: what was confirmed is not in its way.
    assert_eq!(bench.run(STEPS).await.outcome, Outcome::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_a_resumed_run_asks_the_destination() {
    for (knows, status, writes) in [
        (CommitOutcome::Committed { written: None }, StepStatus::Reused, 2),
        (CommitOutcome::NotCommitted, StepStatus::Done, 3),
    ] {
        let bench = Bench::new(&["lose the answer"]);
        bench.run(STEPS).await;
        *bench.world.knows.lock().unwrap() = Some(knows);
        let resumed = bench.resume(STEPS, false).await.unwrap();
        assert_eq!(statuses(&resumed), [StepStatus::Reused, status, StepStatus::Done], "{knows:?}");
        assert_eq!((resumed.outcome, bench.writes()), (Outcome::Done, writes), "{knows:?}");
        assert_eq!(resumed.steps[1].counts.inserted, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_a_write_that_is_done_or_ambiguous_is_not_repeated_because_its_step_has_changed() {
    let changed = STEPS.replace("{special: true}", "{special: true, note: new}");
    let renamed = STEPS.replace("id: a,", "id: c,").replace("rows, a]", "rows, c]");
    for planned in ["lose the answer", "fine"] {
        let bench = Bench::new(if planned == "fine" { &["fine", "fail"] } else { &["lose the answer"] });
        // The second appender fails in the case without ambiguity.
        let steps = STEPS.replace("{input_step: rows}", "{special: true, input_step: rows}");
        bench.run(&steps).await;
        assert_eq!(bench.writes(), 1);
        let (changed, renamed) = (changed.clone(), renamed.clone());
        for (steps, said) in [(changed, "has changed since"), (renamed, "is no longer in the pipeline")] {
            let refused = bench.resume(&steps, false).await.unwrap_err();
            assert!(refused.message().contains(said), "{planned}: {refused:?}");
            assert!(refused.hint().unwrap().contains("--force"), "{refused:?}");
            assert_eq!((bench.writes(), bench.world.asked.load(SeqCst)), (1, u32::from(planned != "fine")));
        }
        let forced = bench.resume(&changed_of(STEPS), true).await.unwrap();
        assert_eq!((forced.outcome, bench.writes()), (Outcome::Done, 3), "{planned}");
    }
}

fn changed_of(steps: &str) -> String {
    steps.replace("{special: true}", "{special: true, note: new}")
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_a_run_that_a_later_one_has_overtaken_is_refused() {
    let bench = Bench::new(&["fail"]);
    bench.run(STEPS).await;
    let failed = bench.past().record().run_id.clone();
    bench.run(STEPS).await;
    assert_eq!(bench.writes(), 2);
    let runs = Runs::below(&bench.directory.path().join(".osiris"));
    let refused = runs.resumable(None, None, false).unwrap_err();
    assert!(refused.message().contains("there is no failed run to resume"), "{refused:?}");
    let refused = runs.resumable(Some(&failed), None, false).unwrap_err();
    assert!(refused.message().contains("is obsolete: run ") && refused.message().contains("succeeded"), "{refused:?}");
    assert!(refused.hint().unwrap().contains("--force"), "{refused:?}");
    assert_eq!(runs.resumable(Some(&failed), None, true).unwrap().record().run_id, failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_a_run_is_overtaken_by_one_that_wrote_and_then_failed() {
    let bench = Bench::new(&["fail", "fine", "fail"]);
    let steps = STEPS.replace("{input_step: rows}", "{special: true, input_step: rows}");
    bench.run(&steps).await;
    let first = bench.past().record().run_id.clone();
    bench.run(&steps).await;
    let runs = Runs::below(&bench.directory.path().join(".osiris"));
    let refused = runs.resumable(Some(&first), None, false).unwrap_err();
    assert!(refused.message().contains("has written since"), "{refused:?}");
    // The latest one can be gone on with.
    assert_ne!(runs.resumable(None, None, false).unwrap().record().run_id, first);
}

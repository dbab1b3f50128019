//! One rule tried on one subject: what it needs to hand, and the verdict.

use std::fmt;
use std::sync::Arc;

use osiris_core::{ComponentSpec, Driver, Error, Inputs, Role, StepFailure, StepOutput};

use crate::{Bench, BenchOptions, BenchStep, InputTable, Job, Place, Rows, Sample, Subject};

/// The id of a trial's step.
pub(crate) const STEP: &str = "trial-step";
/// The step whose table a writer gets.
pub(crate) const INPUT: &str = "sample-step";

/// A rule that does not hold, with what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    /// What was seen.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Violation {
    fn from(error: Error) -> Self {
        Self(format!("{error:?}"))
    }
}

impl From<StepFailure> for Violation {
    fn from(failure: StepFailure) -> Self {
        failure.error.into()
    }
}

impl From<std::io::Error> for Violation {
    fn from(error: std::io::Error) -> Self {
        Error::from(error).into()
    }
}

/// A rule that was not violated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It is not about such a component, or could not be tried on it; the reason.
    NotApplicable(String),
}

/// What a function of the suites returns.
pub type Outcome = Result<Verdict, Violation>;

/// `Ok` with [`Verdict::NotApplicable`].
pub(crate) fn not_applicable(reason: impl Into<String>) -> Outcome {
    Ok(Verdict::NotApplicable(reason.into()))
}

/// Returns from a suite's function with a [`Violation`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Violation::new(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;

/// What one rule is tried with: the subject, a place of its own, and the name of the test that does it.
pub struct Trial<S> {
    subject: S,
    test: String,
    place: Place,
}

impl<S: Subject> Trial<S> {
    /// A trial of `subject` by the test with the path `test`, as `cargo test` prints it. Some rules run that test once more in
    /// a process of its own, to see what it prints and how much memory it takes.
    ///
    /// # Errors
    /// When no temporary directory can be made.
    pub fn new(subject: S, test: impl Into<String>) -> Result<Self, Violation> {
        Ok(Self { subject, test: test.into(), place: Place::new()? })
    }

    /// The subject.
    pub fn subject(&self) -> &S {
        &self.subject
    }

    /// The directory that its jobs may use.
    pub fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn test(&self) -> &str {
        &self.test
    }

    /// A run over the place, with a store in memory.
    pub(crate) fn bench(&self) -> Result<Bench, Violation> {
        self.bench_with(&BenchOptions::new().with_threads(2))
    }

    pub(crate) fn bench_with(&self, options: &BenchOptions) -> Result<Bench, Violation> {
        Ok(Bench::at(&self.place, options, |registry| self.subject.register(registry))?)
    }

    pub(crate) fn driver<'a>(&self, bench: &'a Bench) -> Result<&'a Arc<dyn Driver>, Violation> {
        Ok(bench.driver(self.subject.component())?)
    }

    pub(crate) fn spec(&self) -> Result<ComponentSpec, Violation> {
        Ok(*self.driver(&self.bench()?)?.spec())
    }

    /// A good job over `rows` rows.
    pub(crate) async fn job(&self, rows: u64) -> Result<Job, Violation> {
        let job = self.subject.prepare(&self.place, rows).await?;
        self.with_input(job, Sample::new(rows))
    }

    /// The job with the sample as its input, when it is a writer's and has none.
    pub(crate) fn with_input(&self, job: Job, sample: Sample) -> Result<Job, Violation> {
        let lacks_input = self.spec()?.role == Role::Write && job.inputs.is_empty();
        Ok(if lacks_input { job.input(INPUT, sample) } else { job })
    }

    /// A good job over `rows` rows, in a run of its own.
    pub(crate) async fn ready(&self, rows: u64) -> Result<Ready, Violation> {
        let job = self.job(rows).await?;
        self.ready_for(job).await
    }

    /// Any job in a run of its own.
    pub(crate) async fn ready_for(&self, job: Job) -> Result<Ready, Violation> {
        Ready::new(self.subject.component(), self.bench()?, job).await
    }
}

/// A job in a run, its inputs made.
pub struct Ready {
    component: &'static str,
    /// The run.
    pub bench: Bench,
    /// The inputs.
    pub inputs: Inputs,
    /// The job.
    pub job: Job,
}

impl Ready {
    pub(crate) async fn new(component: &'static str, bench: Bench, job: Job) -> Result<Self, Violation> {
        let mut ready = Self { component, bench, inputs: Inputs::none(), job };
        ready.make_inputs().await?;
        Ok(ready)
    }

    /// Takes another job for the same run.
    pub(crate) async fn take(&mut self, job: Job) -> Result<(), Violation> {
        self.job = job;
        self.make_inputs().await
    }

    async fn make_inputs(&mut self) -> Result<(), Violation> {
        self.inputs = Inputs::none();
        for (step, data) in &self.job.inputs {
            let data: InputTable = data.clone();
            self.inputs.insert(None, self.bench.table(step, data).await?);
        }
        Ok(())
    }

    /// The job as a step, to be changed before it runs.
    pub(crate) fn step(&self, id: &str) -> BenchStep<'_> {
        self.bench
            .step(id, self.component, self.job.config.clone())
            .connection(self.job.connection.clone())
            .inputs(&self.inputs)
    }

    /// Runs the job, which must end well.
    pub(crate) async fn run(&self) -> Result<StepOutput, Violation> {
        Ok(self.step(STEP).run_unchecked().await?)
    }

    /// Runs the job, which must fail.
    pub(crate) async fn fail(&self, what: &str) -> Result<StepFailure, Violation> {
        match self.step(STEP).run_unchecked().await {
            Ok(_) => Err(Violation::new(format!("it ended well although {what}"))),
            Err(failure) => Ok(failure),
        }
    }

    /// The component.
    pub(crate) fn driver(&self) -> Result<&Arc<dyn Driver>, Violation> {
        Ok(self.bench.driver(self.component)?)
    }

    /// The rows that the job promises.
    pub(crate) fn expected(&self) -> Result<&Rows, Violation> {
        let expected = self.job.expected.as_ref();
        expected.ok_or_else(|| Violation::new("the job of the subject expects no rows: call `Job::expecting`"))
    }

    /// Whether `output` has the rows that the job expects.
    pub(crate) async fn compare(&self, output: &StepOutput) -> Result<(), Violation> {
        let Some(table) = &output.table else { return Ok(()) };
        let found = self.bench.rows(table).await?;
        match self.expected()?.difference(&found) {
            None => Ok(()),
            Some(difference) => Err(Violation::new(format!("the step's table is not as expected: {difference}"))),
        }
    }
}

/// Tries one rule: runs `check`, a function of [`suite`](crate::suite) called `rule`, on `subject`, in a runtime of its own. What
/// the tests of [`conformance_suite!`](crate::conformance_suite) do.
///
/// # Panics
/// When the rule is violated, or when it could not be tried and the subject does not list it as not applicable.
#[expect(clippy::panic, clippy::print_stdout, reason = "this is the end of a test: it fails or reports")]
pub fn conduct<S: Subject>(subject: S, rule: &str, test: &str, check: impl AsyncFnOnce(&Trial<S>) -> Outcome) {
    let id = rule_id(rule);
    let component = subject.component();
    if let Some(service) = subject.service().filter(|service| crate::skipped::is_skipped(service)) {
        println!("SKIPPED: {id} for {component}, which needs the service `{service}`");
        return;
    }
    let listed = subject.not_applicable().iter().find(|(listed, _)| *listed == id).map(|(_, reason)| *reason);
    let outcome = judge(subject, test, check);
    match (outcome, listed) {
        (Ok(Verdict::Holds), None) => {}
        (Ok(Verdict::Holds), Some(_)) => {
            panic!("{id} is listed as not applicable to {component}, but it was tried and holds: take it off the list")
        }
        (Ok(Verdict::NotApplicable(found)), Some(reason)) => {
            println!("{id} does not apply to {component}: {reason} ({found})");
        }
        (Ok(Verdict::NotApplicable(found)), None) => {
            panic!("{id} was not tried on {component}: {found}. If that is right, list it in `Subject::not_applicable`")
        }
        (Err(violation), _) => panic!("{component} violates {id} ({rule}): {violation}"),
    }
}

/// Tries one rule like [`conduct`], and returns what came of it. `test` is the path of the running test, as `module_path!` and
/// its name make it.
///
/// # Errors
/// The violation.
pub fn judge<S: Subject>(subject: S, test: &str, check: impl AsyncFnOnce(&Trial<S>) -> Outcome) -> Outcome {
    // The path of a test begins with the name of the crate, which `cargo test` leaves out.
    let test = test.split_once("::").map_or(test, |(_, path)| path);
    let trial = Trial::new(subject, test)?;
    runtime()?.block_on(check(&trial))
}

fn runtime() -> Result<tokio::runtime::Runtime, Violation> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// `drv_004_...` is the rule `DRV-004`.
fn rule_id(name: &str) -> String {
    name.splitn(3, '_').take(2).collect::<Vec<_>>().join("-").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_test_has_the_rule() {
        assert_eq!(rule_id("drv_004_uses_only"), "DRV-004");
        assert_eq!(rule_id("crt_007_x"), "CRT-007");
    }
}

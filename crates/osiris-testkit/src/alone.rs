//! The test that is running, once more in a process of its own: what it prints, allocates and leaves open is then its alone,
//! and its environment and limits can be chosen.

use std::ffi::OsStr;
use std::future::Future;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::trial::not_applicable;
use crate::{Outcome, Verdict, Violation};

/// Set in the other process.
const MARK: &str = "OSIRIS_TESTKIT_ALONE";
/// Begins the line with which the other process reports its verdict.
const VERDICT: &str = "osiris-testkit verdict: ";
/// Variables that a process needs to find its libraries and its temporary directory.
const KEPT: [&str; 7] =
    ["PATH", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "LLVM_PROFILE_FILE"];

/// How the other process is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alone {
    environment: Option<Vec<(String, String)>>,
    file_size_kib: Option<u64>,
    umask: Option<&'static str>,
}

impl Alone {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With these variables and no others.
    pub(crate) fn with_environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment = Some(variables);
        self
    }

    /// A write beyond this size of a file fails, as it does on a full disk.
    pub(crate) fn with_file_size_limit(mut self, kibibytes: u64) -> Self {
        self.file_size_kib = Some(kibibytes);
        self
    }

    /// With this umask, in octal digits.
    pub(crate) fn with_umask(mut self, umask: &'static str) -> Self {
        self.umask = Some(umask);
        self
    }

    /// In the first process: runs `test` again and returns the verdict of the second, with all it printed. In the second:
    /// runs `body`.
    #[expect(clippy::print_stdout, reason = "this is how the second process tells the first")]
    pub(crate) async fn run(
        &self,
        test: &str,
        body: impl Future<Output = Outcome>,
    ) -> Result<(Verdict, Option<Output>), Violation> {
        if is_second() {
            let outcome = body.await;
            println!("\n{VERDICT}{}", encode(&outcome));
            return outcome.map(|verdict| (verdict, None));
        }
        drop(body);
        let command = self.command(test)?;
        let output = tokio::task::spawn_blocking(move || {
            let mut command = command;
            command.output()
        });
        let output = output.await.map_err(|error| Violation::new(error.to_string()))??;
        let verdict = verdict_of(&output)?;
        Ok((verdict, Some(output)))
    }

    fn command(&self, test: &str) -> Result<Command, Violation> {
        let program = std::env::current_exe()?;
        // The signal that a write over the limit raises is ignored, so that the write fails instead. `ulimit -f` counts blocks of
        // 512 bytes in some shells and of 1024 in others.
        let limit = self.file_size_kib.map(|kibibytes| format!("trap '' XFSZ; ulimit -f {kibibytes} && "));
        let umask = self.umask.map(|umask| format!("umask {umask} && "));
        let mut command = match [limit, umask].into_iter().flatten().collect::<String>() {
            none if none.is_empty() => Command::new(program),
            settings => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{settings}exec \"$@\""), "sh"]).arg(program);
                shell
            }
        };
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]).stdin(Stdio::null());
        if let Some(variables) = &self.environment {
            let kept = std::env::vars_os().filter(|(name, _)| is_kept(name)).collect::<Vec<_>>();
            command.env_clear().envs(kept).envs(variables.iter().cloned());
        }
        command.env(MARK, "1");
        Ok(command)
    }
}

/// Besides the variables of every process, those that say where servers for tests are.
fn is_kept(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| KEPT.contains(&name) || name.starts_with("OSIRIS_TEST_"))
}

/// Whether this is the other process.
pub(crate) fn is_second() -> bool {
    std::env::var_os(MARK).is_some()
}

fn encode(outcome: &Outcome) -> Value {
    match outcome {
        Ok(Verdict::Holds) => json!({"holds": true}),
        Ok(Verdict::NotApplicable(reason)) => json!({"not_applicable": reason}),
        Err(violation) => json!({"violation": violation.to_string()}),
    }
}

fn verdict_of(output: &Output) -> Outcome {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = stdout.lines().find_map(|line| line.strip_prefix(VERDICT));
    let Some(verdict) = line.and_then(|line| serde_json::from_str::<Value>(line).ok()) else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let start = stderr.len().saturating_sub(2000);
        let tail = stderr.get(start..).unwrap_or(&stderr);
        return Err(Violation::new(format!(
            "the test came to no verdict when run in a process of its own ({}): {stdout}\n{tail}",
            output.status
        )));
    };
    match (&verdict["violation"], &verdict["not_applicable"]) {
        (Value::String(violation), _) => Err(Violation::new(violation.clone())),
        (_, Value::String(reason)) => not_applicable(reason.clone()),
        _ => Ok(Verdict::Holds),
    }
}

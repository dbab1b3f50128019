//! What becomes of an append to a directory of parts, or to one Parquet file, that was cut off at its commit.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osiris_e2e::{Project, Signal};

use crate::outcome::{append, blocked, forget_the_end};
use crate::{READ, SLOW, project, sql};

/// A way to append to files: the component, the destination, its further configuration.
struct Kind {
    component: &'static str,
    path: &'static str,
    config: &'static str,
}

const KINDS: [Kind; 5] = [
    Kind { component: "csv_writer", path: "out", config: ", max_rows_per_file: 2" },
    Kind { component: "parquet_writer", path: "out.parquet", config: "" },
    Kind { component: "parquet_writer", path: "out", config: ", max_rows_per_file: 2" },
    Kind { component: "parquet_writer", path: "out", config: ", partition_by: [customer]" },
    Kind { component: "parquet_writer", path: "out", config: ", partition_by: [customer], max_rows_per_file: 1" },
];

type Contents = Vec<(PathBuf, Vec<u8>)>;

impl Kind {
    fn step(&self) -> String {
        append("load", self.path).replace("csv_writer", self.component).replace(", columns: source", self.config)
    }

    fn is_directory(&self) -> bool {
        self.path == "out"
    }

    /// What the destination holds.
    fn contents(&self, project: &Project) -> Contents {
        let files = project.files().into_iter().filter(|file| file.starts_with(self.path));
        files.map(|file| (file.clone(), std::fs::read(project.path(file)).unwrap())).collect()
    }

    /// Makes the destination hold that and nothing else.
    fn restore(&self, project: &Project, contents: &Contents) {
        if self.is_directory() {
            std::fs::remove_dir_all(project.path(self.path)).unwrap();
        }
        contents.iter().for_each(|(file, bytes)| project.write(file, bytes));
    }

    /// The rows that the destination holds, counted by a pipeline of its own.
    fn rows(&self, project: &Project) -> String {
        let reader = self.component.replace("writer", "extractor");
        let read =
            format!("  - {{id: all, component: filesystem.{reader}, mode: read, config: {{path: {}}}}}\n", self.path);
        let count = sql("n", "SELECT count(*) AS n FROM input");
        let write = crate::write("count", "count.csv");
        project.write("count.yaml", format!("oml_version: \"0.1.0\"\nname: count\nsteps:\n{read}{count}{write}"));
        project.run(&["run", "count.yaml"]).with_code(0);
        project.read("count.csv").lines().last().unwrap_or_default().to_owned()
    }

    /// A project whose last run has appended to rows that were there, has failed, and knows nothing of its append; with what the
    /// destination held before it and after it.
    fn cut_off(&self) -> (Project, Contents, Contents) {
        let project = project(&[READ, &self.step()].concat());
        project.run(&["run", "pipeline.yaml"]).with_code(0);
        let before = self.contents(&project);
        project.write("pipeline.yaml", project.read("pipeline.yaml") + &blocked("load"));
        project.run(&["run", "pipeline.yaml"]).with_code(1);
        let after = self.contents(&project);
        assert_ne!(before, after);
        assert_eq!(self.rows(&project), "6");
        let run = latest(&project, "test");
        forget_the_end(&run);
        std::fs::create_dir(project.path("later")).unwrap();
        (project, before, after)
    }

    fn name(&self) -> String {
        format!("{}{}", self.component, self.config)
    }
}

/// The latest run of a pipeline.
fn latest(project: &Project, pipeline: &str) -> PathBuf {
    let is_its = |run: &&PathBuf| read_json(&run.join("run.json"))["pipeline"] == pipeline;
    project.runs().iter().rev().find(is_its).unwrap().clone()
}

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn s2_parts_that_were_appended_before_a_crash_are_not_appended_again() {
    for kind in KINDS {
        let (project, _, after) = kind.cut_off();
        let resumed = project.run(&["run", "pipeline.yaml", "--resume", "--json"]).with_code(0).json();
        let step = &resumed["steps"][1];
        assert_eq!((&step["status"], &step["inserted"]), (&"reused".into(), &3.into()), "{}", kind.name());
        assert_eq!(kind.contents(&project), after, "{}", kind.name());
    }
}

#[test]
fn s2_parts_that_were_not_appended_before_a_crash_are_appended() {
    for kind in KINDS {
        let (project, before, _) = kind.cut_off();
        kind.restore(&project, &before);
        project.run(&["run", "pipeline.yaml", "--resume"]).with_code(0);
        assert_eq!(kind.rows(&project), "6", "{}", kind.name());
    }
}

#[test]
fn s2_parts_of_which_nobody_knows_are_refused_without_force() {
    for kind in KINDS {
        let (project, before, after) = kind.cut_off();
        let is_new = |file: &&(PathBuf, Vec<u8>)| !before.contains(file);
        let (changed, _) = after.iter().find(is_new).unwrap();
        // Somebody has done something to what the run wrote, or may have written.
        project.write(changed, "PAR1 somebody else's");
        let theirs = kind.contents(&project);
        let refused = project.run(&["run", "pipeline.yaml", "--resume"]).with_code(2);
        assert!(
            refused.stderr.contains("step `load`: may have written already"),
            "{}: {}",
            kind.name(),
            refused.stderr
        );
        assert!(refused.stderr.contains(kind.path) && refused.stderr.contains("--force"), "{}", refused.stderr);
        assert_eq!(kind.contents(&project), theirs, "{}", kind.name());
        if after.iter().filter(is_new).count() > 1 {
            // One of several new parts is gone: no rename of ours leaves that.
            kind.restore(&project, &after);
            std::fs::remove_file(project.path(changed)).unwrap();
            let refused = project.run(&["run", "pipeline.yaml", "--resume"]).with_code(2);
            assert!(refused.stderr.contains("may have written already"), "{}: {}", kind.name(), refused.stderr);
        }
    }
}

#[test]
fn s60_a_run_that_is_killed_as_soon_as_its_parts_are_there_never_appends_them_twice() {
    for kind in KINDS {
        let project = project(&[READ, &kind.step()].concat());
        project.run(&["run", "pipeline.yaml"]).with_code(0);
        let old = kind.contents(&project);
        let slow = sql("slow", SLOW).replace("mode: transform", "mode: transform, needs: [orders, load]");
        let text = project.read("pipeline.yaml") + &slow;
        for _ in 0..4 {
            project.write("pipeline.yaml", &text);
            kind.restore(&project, &old);
            let mut running = project.start(&["run", "pipeline.yaml"]);
            let begun = Instant::now();
            while kind.contents(&project) == old {
                assert!(begun.elapsed() < Duration::from_secs(60) && !running.has_ended(), "{}", kind.name());
            }
            running.signal(Signal::KILL);
            running.ended();
            project.write("pipeline.yaml", text.replace(SLOW, "SELECT count(*) AS n FROM orders"));
            project.run(&["run", "pipeline.yaml", "--resume"]).with_code(0);
            assert_eq!(kind.rows(&project), "6", "{}", kind.name());
        }
    }
}

//! The program as a case starts it: in its project, with the options of the case, and what is loaded into it.

use std::process::Command;

use osiris_e2e::{Ended, Project, Running};

use super::interpose::Interposer;

/// The directory of runs on a disk of its own.
pub(super) const RUN_DISK: &str = "disk";

pub(super) struct Runner<'a> {
    pub(super) project: &'a Project,
    interposer: Option<&'a Interposer>,
    /// Options of `osiris run`.
    options: &'static [&'static str],
    has_run_disk: bool,
}

impl<'a> Runner<'a> {
    /// As a user starts it.
    pub(super) fn new(project: &'a Project) -> Self {
        Self { project, interposer: None, options: &[], has_run_disk: false }
    }

    pub(super) fn with_interposer(self, interposer: Option<&'a Interposer>) -> Self {
        Self { interposer, ..self }
    }

    pub(super) fn with_options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    pub(super) fn with_run_disk(self, has_run_disk: bool) -> Self {
        Self { has_run_disk, ..self }
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    pub(super) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// The latest run, if it is recorded as done.
    pub(super) fn done_run(&self) -> Option<String> {
        let listed = self.run(&["runs", "list", "--json"]).with_code(0).json();
        let latest = &listed[0];
        (latest["outcome"] == "done").then(|| latest["run_id"].as_str().unwrap().to_owned())
    }

    /// Whether another run than `earlier` is the latest now, and recorded as done.
    pub(super) fn is_done_since(&self, earlier: Option<&String>) -> bool {
        self.done_run().is_some_and(|latest| Some(&latest) != earlier)
    }

    /// The words that the arguments become.
    pub(super) fn words<'w>(&'w self, arguments: &[&'w str]) -> Vec<&'w str> {
        let mut words = arguments.to_vec();
        if self.has_run_disk {
            words.extend(["--run-dir", RUN_DISK]);
        }
        if arguments.first() == Some(&"run") {
            words.extend(self.options);
        }
        words
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.command(&self.words(arguments));
        if let Some(interposer) = self.interposer {
            interposer.load_into(&mut command);
        }
        command
    }
}

//! What checking a configuration and a connection comes to: problems, or a step that can run.

use std::fmt;
use std::sync::Arc;

use super::PreparedStep;
use crate::problem::ensure_none;
use crate::{Error, Problem, Redactor, Result};

/// Checks a configuration against the names of the inputs.
type InputCheck = Box<dyn Fn(&[&str]) -> Vec<Problem> + Send + Sync>;

/// What [`Driver::prepare`](super::Driver::prepare) found: everything that is wrong, and the step unless something is.
#[derive(Default)]
pub struct Prepared {
    pub(super) config_problems: Vec<Problem>,
    pub(super) connection_problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) input_check: Option<InputCheck>,
    pub(super) step: Option<Arc<dyn PreparedStep>>,
    pub(super) redactor: Redactor,
}

impl Prepared {
    /// The problems of the configuration, errors and warnings; pointers are into the configuration.
    pub fn config_problems(&self) -> &[Problem] {
        &self.config_problems
    }

    /// The problems of the connection; pointers are into the connection.
    pub fn connection_problems(&self) -> &[Problem] {
        &self.connection_problems
    }

    /// Warnings about the two together; pointers are into the configuration. None unless both are valid.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Problems that show once the names of the inputs are known, see
    /// [`Component::check_inputs`](crate::Component::check_inputs). None for a configuration that is not valid.
    pub fn check_inputs(&self, inputs: &[&str]) -> Vec<Problem> {
        self.input_check.as_ref().map(|check| check(inputs)).unwrap_or_default()
    }

    /// The step; none when the configuration or the connection is not valid, or the connection was not given.
    pub fn step(&self) -> Option<&Arc<dyn PreparedStep>> {
        self.step.as_ref()
    }

    /// The step.
    ///
    /// # Errors
    /// All problems in one validation error, redacted, when there is no step.
    pub fn into_step(self) -> Result<Arc<dyn PreparedStep>> {
        if let Some(step) = self.step {
            return Ok(step);
        }
        let is_wrong = |problems: &[Problem]| problems.iter().any(Problem::is_error);
        let what = match (is_wrong(&self.config_problems), is_wrong(&self.connection_problems)) {
            (true, true) => "its config with its connection",
            (true, false) => "its config",
            _ => "its connection",
        };
        let all: Vec<Problem> = self.config_problems.into_iter().chain(self.connection_problems).collect();
        let error = ensure_none(&all, what).err();
        Err(error.unwrap_or_else(|| Error::validation(format!("{what} is not valid"))).redacted(&self.redactor))
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("config_problems", &self.config_problems)
            .field("connection_problems", &self.connection_problems)
            .field("warnings", &self.warnings)
            .field("is_valid", &self.step.is_some())
            .finish_non_exhaustive()
    }
}

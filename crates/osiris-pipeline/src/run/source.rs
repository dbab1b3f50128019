//! Whose state a step may use: the source of every step is compared with that of its state before anything runs.

use std::path::{Path, PathBuf};

use osiris_core::state::StepOrigin;
use osiris_core::{Result, Role, StepRequest};

use super::state::States;
use crate::Plan;

/// The pipeline that the steps of a plan belong to, whose runs are below `root`. A file below the project is named
/// relative to it, so that a project can be moved as a whole.
pub(super) fn origin(plan: &Plan, root: &Path) -> StepOrigin {
    let file = plan.pipeline().source.path().map(|path| {
        let path = real(path);
        let project = root.parent().map(|project| if project == Path::new("") { Path::new(".") } else { project });
        let below = project.and_then(|project| path.strip_prefix(real(project)).ok().map(Path::to_path_buf));
        below.unwrap_or(path).display().to_string()
    });
    StepOrigin { file, profile: plan.options().profile.clone() }
}

fn real(path: &Path) -> PathBuf {
    let known = path.canonicalize().or_else(|_| std::path::absolute(path));
    known.unwrap_or_else(|_| path.to_path_buf())
}

/// Refuses a plan of which a step would use the state of another source.
///
/// # Errors
/// The first such step, with every difference; a state that cannot be read.
pub(super) fn check(plan: &Plan, states: &States, root: &Path) -> Result<()> {
    let origin = origin(plan, root);
    for step in plan.steps().iter().filter(|step| step.driver.spec().role == Role::Extract) {
        let state = states.load(&step.id).map_err(|error| error.with_step(&step.id))?;
        let request = StepRequest { state, origin: origin.clone(), ..step.request.clone() };
        step.prepared.check_state(&request, plan.redactor())?;
    }
    Ok(())
}

//! `state`: the saved states of incremental extractions.

use std::io::IsTerminal as _;
use std::sync::Arc;

use osiris::pipeline::{SavedStates, StepState};
use osiris::{Environment, Error, Project, Registry, Settings, SourceFile};
use serde_json::{Value, json};

use super::project;
use crate::args::{AcceptStateArgs, ResetStateArgs, ShowStateArgs, StateCommand};
use crate::command_error::CommandError;
use crate::console::Console;

pub(super) fn execute(
    command: &StateCommand,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    match command {
        StateCommand::Show(args) => show(args, given, registry, console)?,
        StateCommand::Reset(args) => reset(args, given, console)?,
        StateCommand::Accept(args) => accept(args, given, registry, console)?,
    }
    Ok(0)
}

fn show(args: &ShowStateArgs, given: Settings, registry: &Registry, console: &Console) -> Result<(), CommandError> {
    let (project, plan) = project::recorded(&args.selection, given, registry, console)?;
    let mut states = SavedStates::below(&project.run_root(), plan.name()).list(&plan)?;
    states.retain(|state| args.step.as_ref().is_none_or(|step| *step == state.step));
    if args.json {
        return console.json(&states.iter().map(json_of).collect());
    }
    if states.is_empty() {
        console.say("the pipeline has no saved state");
        return Ok(());
    }
    let texts: Vec<String> = states.iter().map(text).collect();
    console.data(&texts.join("\n"))
}

/// A reset needs only the name of the pipeline: problems of its steps or connections do not prevent it.
fn reset(args: &ResetStateArgs, given: Settings, console: &Console) -> Result<(), CommandError> {
    let project = Project::of_pipeline(&args.file, given, Environment::of_process())?;
    let states = SavedStates::of_file(&project.run_root(), &Arc::new(SourceFile::read(&args.file)?))?;
    // To ask first would be to ask for nothing.
    if states.resettable(args.step.as_deref())?.is_empty() {
        console.say("the pipeline has no saved state");
        return Ok(());
    }
    if !args.yes && !confirmed(args, console)? {
        console.say("nothing was removed");
        return Ok(());
    }
    let removed = states.reset(args.step.as_deref())?;
    removed.iter().for_each(|step| console.say(&format!("removed the state of {step}: the next run reads all rows")));
    Ok(())
}

/// Asks on a terminal. Elsewhere nobody can answer.
fn confirmed(args: &ResetStateArgs, console: &Console) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        let error = Error::validation("removing a saved state has to be confirmed").with_hint("add `--yes`");
        return Err(CommandError::Refused(error));
    }
    let whose = args.step.as_deref().unwrap_or("all steps");
    console.report(&format!("Remove the saved state of {whose}, so that the next run reads all rows? [y/N]"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(Error::from)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn accept(args: &AcceptStateArgs, given: Settings, registry: &Registry, console: &Console) -> Result<(), CommandError> {
    let (project, plan) = project::recorded(&args.selection, given, registry, console)?;
    let states = SavedStates::below(&project.run_root(), plan.name());
    let accepted = states.accept(&plan, args.step.as_deref())?;
    if accepted.is_empty() {
        console.say("the pipeline has no saved state");
    }
    accepted
        .iter()
        .for_each(|step| console.say(&format!("the state of {step} is used for the source that it reads now")));
    Ok(())
}

fn text(state: &StepState) -> String {
    let mut text = format!("{}\n  {}\n", state.step, state.path.display());
    match &state.saved {
        None => text.push_str("  source: not recorded\n"),
        Some(saved) => {
            for (name, value) in saved.source().fields() {
                text.push_str(&format!("  {name}: {value}\n"));
            }
            text.push_str(&format!("  state: {}\n", shortened(saved.state())));
        }
    }
    if let (Some(refused), true) = (&state.refused, state.saved.is_some()) {
        text.push_str(&format!("  not used: {}\n", refused.replace('\n', "\n  ")));
    }
    text
}

fn json_of(state: &StepState) -> Value {
    json!({
        "step": state.step,
        "path": state.path,
        "source": state.saved.as_ref().map(|saved| saved.source()),
        "state": state.saved.as_ref().map(|saved| saved.state()),
        "refused": state.refused,
    })
}

/// A state in one line: of long lists how long they are.
fn shortened(value: &Value) -> Value {
    match value {
        Value::Array(values) if values.len() > 3 => json!(format!("{} entries", values.len())),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), shortened(value))).collect())
        }
        other => other.clone(),
    }
}

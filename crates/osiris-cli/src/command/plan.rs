//! `plan` and `compile`: what a run would do.

use std::collections::BTreeSet;

use osiris::core::store::default_memory_limit;
use osiris::core::visible_line;
use osiris::pipeline::{PlannedStep, StoreChoice};
use osiris::{Error, Plan, Project, Registry, Settings};
use serde_json::Value;

use super::project::{outlined, planned};
use crate::args::{CompileArgs, PlanArgs};
use crate::command_error::CommandError;
use crate::console::{Console, json_text};
use crate::human;

pub(super) fn plan(
    args: &PlanArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    let (project, plan) = planned(&args.selection, given, registry, console)?;
    let manifest = plan.manifest();
    if args.json {
        console.json(&manifest)?;
        return Ok(0);
    }
    let steps = manifest["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ending = if steps.len() == 1 { "" } else { "s" };
    let mut text = format!("{}: {} step{ending}\n", plan.name(), steps.len());
    let mut shown_groups = BTreeSet::new();
    if let Some(description) = &plan.pipeline().description {
        text.push_str(&format!("{}\n", human::one_line(description)));
    }
    let mut number = 0;
    for (step, planned) in steps.iter().zip(plan.steps()) {
        if let Some(member) = &planned.group {
            if shown_groups.insert(&member.group) {
                number += 1;
                text.push_str(&format!("\n{number}. {}\n", shown_group(&plan, planned)));
            }
            continue;
        }
        number += 1;
        let required = planned.driver.config_schema().json()["required"].clone();
        let title = plan.pipeline().steps.iter().find(|step| step.id.value == planned.id);
        let title =
            title.and_then(|step| step.title.as_deref()).map(|title| format!("\n     {}", human::one_line(title)));
        text.push_str(&format!("\n{number}. {}{}\n", shown(step, &required), title.unwrap_or_default()));
        planned.prepared.notes().iter().for_each(|note| text.push_str(&format!("     {note}\n")));
    }
    text.push_str(&format!("\n{}\n", store(&project)));
    console.data(&text)?;
    Ok(0)
}

pub(super) fn compile(
    args: &CompileArgs,
    given: Settings,
    registry: &Registry,
    console: &Console,
) -> Result<u8, CommandError> {
    // The same for the same files on every machine: no source is asked for its tables.
    let (_, plan) = outlined(&args.selection, given, registry, console)?;
    let manifest = plan.manifest();
    match &args.output {
        None => console.json(&manifest)?,
        Some(path) => {
            std::fs::write(path, json_text(&manifest))
                .map_err(|error| Error::from(error).with_context("path", path.display()))?;
            console.say(&format!("wrote {}", path.display()));
        }
    }
    Ok(0)
}

/// The steps of a group, of which `first` is one: what they have in common, then a line for each table.
fn shown_group(plan: &Plan, first: &PlannedStep) -> String {
    let group = |step: &PlannedStep| step.group.as_ref().map(|member| member.group.clone());
    let members: Vec<&PlannedStep> = plan.steps().iter().filter(|step| group(step) == group(first)).collect();
    let (spec, ending) = (first.driver.spec(), if members.len() == 1 { "" } else { "s" });
    let id = group(first).unwrap_or_default();
    let mut lines = vec![format!("{id}  {} ({}), {} table{ending}", spec.name, spec.role.mode(), members.len())];
    if let Some(reference) = first.connection().reference() {
        lines.push(format!("connection: {reference}"));
    }
    if let Some(found) = plan.groups().iter().find(|group| group.id == id) {
        lines.push(format!("tables: {}", human::one_line(&found.patterns.join(", "))));
    }
    for step in members {
        let table = step.group.as_ref().and_then(|member| member.table.as_deref()).unwrap_or("(found when it runs)");
        let to = step.prepared.destination().map_or_else(String::new, |destination| format!(" -> {destination}"));
        lines.push(format!("  {}", visible_line(&format!("{table}{to}  ({})", step.id))));
        lines.extend(step.prepared.notes().iter().map(|note| format!("    {note}")));
    }
    lines.join("\n     ")
}

/// One step of the manifest: what it runs, what it reads, the fields it cannot do without, what it waits for.
fn shown(step: &Value, required: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines = vec![format!("{}  {} ({})", text(&step["id"]), text(&step["component"]), text(&step["mode"]))];
    if !step["connection"].is_null() {
        lines.push(format!("connection: {}", text(&step["connection"])));
    }
    let inputs = step["inputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let inputs: Vec<String> = inputs.iter().map(|input| input_text(input, &text)).collect();
    if !inputs.is_empty() {
        lines.push(format!("reads the tables of: {}", inputs.join(", ")));
    }
    let named = required.as_array().into_iter().flatten().filter_map(Value::as_str);
    for field in named.filter(|field| !step["config"][field].is_null()) {
        lines.push(format!("{field}: {}", human::one_line(&text(&step["config"][field]))));
    }
    lines.join("\n     ")
}

fn input_text(input: &Value, text: &dyn Fn(&Value) -> String) -> String {
    match &input["key"] {
        Value::String(key) if *key != text(&input["step"]) => format!("{} (as {key})", text(&input["step"])),
        _ => text(&input["step"]),
    }
}

fn store(project: &Project) -> String {
    let settings = project.settings();
    let options = project.run_options();
    let place = match options.store {
        StoreChoice::File => format!("in a file below {}", options.root.display()),
        StoreChoice::Memory => "in memory".to_owned(),
    };
    let limit = human::bytes(options.memory_limit);
    let why = if settings.memory_limit.is_none() && options.memory_limit == default_memory_limit() {
        " (60% of the available memory)"
    } else {
        ""
    };
    format!("tables: {place}; memory limit: {limit}{why}; steps in parallel: {}", options.jobs)
}

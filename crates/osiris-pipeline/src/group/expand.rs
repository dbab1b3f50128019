//! From a pipeline with groups to one with a step for each table.

use std::collections::BTreeMap;
use std::sync::Arc;

use osiris_core::{Code, Driver, Registry, Role};
use serde_json::Value;

use super::reader::{self, Reader};
use super::writer::Writer;
use super::{FoundTables, TableGroup};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::interpolate::Scope;
use crate::model::{Pipeline, Spanned, Step};
use crate::params::ParamSpec;
use crate::parse::{KnownIds, place_of};
use crate::source::SourceFile;

/// What groups are expanded with.
pub(crate) struct GroupScope<'a> {
    pub(crate) source: &'a Arc<SourceFile>,
    pub(crate) specs: &'a [ParamSpec],
    pub(crate) params: &'a BTreeMap<String, Value>,
    pub(crate) known: &'a KnownIds,
    pub(crate) registry: &'a Registry,
    /// The tables; none as long as the sources have not been asked.
    pub(crate) found: Option<&'a FoundTables>,
}

impl GroupScope<'_> {
    pub(super) fn values(&self) -> Scope<'_> {
        Scope { source: self.source, specs: self.specs, params: self.params, steps: self.known }
    }

    pub(super) fn driver(&self, step: &Step) -> Option<Arc<dyn Driver>> {
        reader::driver(step, self)
    }
}

/// What a step has to do with groups.
enum Part<'a> {
    /// It is one step, whatever it waits for.
    Single,
    Reads(&'a Reader),
    Writes(Writer<'a>),
}

/// Replaces the steps of groups by those for their tables. As long as the tables are not known, each stays one step, with
/// placeholders where the names will be, so that all else of it can be checked. What is wrong is reported.
pub(crate) fn expand(
    pipeline: &Pipeline,
    scope: &GroupScope<'_>,
    diagnostics: &mut Diagnostics,
) -> (Vec<Step>, Vec<TableGroup>) {
    let steps = &pipeline.steps;
    let mut readers: Vec<Option<Reader>> = Vec::with_capacity(steps.len());
    for step in steps {
        readers.push(Reader::of(step, scope, diagnostics));
    }
    if readers.iter().all(Option::is_none) {
        return (steps.clone(), Vec::new());
    }
    let mut expanded = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let part = part(steps, index, &readers, scope, diagnostics);
        let (reads, members) = match &part {
            Part::Single => (None, vec![step.clone()]),
            Part::Reads(reader) => (Some(reader.id.clone()), reader.members(step)),
            Part::Writes(writer) => (Some(writer.reader.id.clone()), writer.members(step)),
        };
        expanded.push(Expanded { id: step.id.value.clone(), reads, members });
    }
    let ids = expanded.iter().map(|step| {
        (step.id.clone(), step.members.iter().map(|member| member.id.value.clone()).collect::<Vec<String>>())
    });
    let ids: BTreeMap<String, Vec<String>> = ids.collect();
    let steps = match scope.found {
        Some(_) => by_table(&expanded),
        // Which step comes before which is still to be looked at.
        None => expanded.into_iter().flat_map(|step| step.members).collect(),
    };
    let steps = steps.into_iter().map(|step| waiting_for_all(step, &ids)).collect();
    (steps, readers.into_iter().flatten().map(Reader::into_group).collect())
}

/// A step of the file with the steps that were made of it.
struct Expanded {
    id: String,
    /// The group whose tables it reads or writes.
    reads: Option<String>,
    members: Vec<Step>,
}

/// The steps with those of a table side by side, at the place of the step that reads the group: a table is written before the
/// next one is read.
fn by_table(expanded: &[Expanded]) -> Vec<Step> {
    let mut steps = Vec::new();
    for step in expanded {
        match &step.reads {
            None => steps.extend_from_slice(&step.members),
            Some(group) if *group == step.id => {
                let writers =
                    || expanded.iter().filter(|other| other.reads.as_ref() == Some(group) && other.id != *group);
                for (index, reader) in step.members.iter().enumerate() {
                    steps.push(reader.clone());
                    steps.extend(writers().filter_map(|writer| writer.members.get(index).cloned()));
                }
            }
            Some(_) => {}
        }
    }
    steps
}

/// A step that waits for a group waits for all of its steps.
fn waiting_for_all(step: Step, ids: &BTreeMap<String, Vec<String>>) -> Step {
    let all = |need: &Spanned<String>| match ids.get(&need.value) {
        Some(ids) => ids.iter().map(|id| Spanned { value: id.clone(), span: need.span }).collect(),
        None => vec![need.clone()],
    };
    Step { needs: step.needs.iter().flat_map(all).collect(), ..step }
}

fn part<'a>(
    steps: &[Step],
    index: usize,
    readers: &'a [Option<Reader>],
    scope: &GroupScope<'_>,
    diagnostics: &mut Diagnostics,
) -> Part<'a> {
    if let Some(reader) = &readers[index] {
        return Part::Reads(reader);
    }
    let step = &steps[index];
    let Some(driver) = scope.driver(step) else { return Part::Single };
    let read = tables_of(steps, index, driver.as_ref(), readers);
    match (driver.spec().role, read.as_slice()) {
        (Role::Extract, _) | (_, []) => Part::Single,
        (Role::Write, [reader]) => Part::Writes(Writer::new(step, driver, reader, scope, diagnostics)),
        (Role::Write, [first, second, ..]) => {
            let message =
                format!("step `{}` writes the tables of two groups: {}, {}", step.id.value, first.id, second.id);
            let hint = "write a step for each group";
            diagnostics.push(refused(step, &second.id, message, scope).with_hint(hint));
            Part::Single
        }
        (Role::Transform, [reader, ..]) => {
            let message = format!("step `{}` takes tables one by one, and `{}` reads many", step.id.value, reader.id);
            let hint = "read the tables that it needs in steps of their own, with `table` in the place of `tables`; only a step \
                        that writes can follow a group";
            diagnostics.push(refused(step, &reader.id, message, scope).with_hint(hint));
            Part::Single
        }
    }
}

fn refused(step: &Step, group: &str, message: String, scope: &GroupScope<'_>) -> Diagnostic {
    let place = place_of(step, group).unwrap_or(step.id.span);
    Diagnostic::error(message).with_code(Code::UnknownStep).at(scope.source, place)
}

/// The groups whose tables a step reads: as the wiring of steps will see it.
fn tables_of<'a>(steps: &[Step], index: usize, driver: &dyn Driver, readers: &'a [Option<Reader>]) -> Vec<&'a Reader> {
    let step = &steps[index];
    let named = |id: &str| readers.iter().flatten().find(|reader| reader.id == id);
    let inputs = step.inputs.iter().map(|input| &input.step);
    // A writer that names its inputs needs the others only to have run.
    let needs = step.needs.iter().filter(|_| step.inputs.is_empty() || driver.spec().role == Role::Transform);
    let mut read: Vec<&Reader> = inputs.chain(needs).filter_map(|word| named(&word.value)).collect();
    let takes_one = !step.needs_nothing || driver.needs_input();
    if step.inputs.is_empty() && step.needs.is_empty() && takes_one {
        let chosen = step.config.get("input_step").and_then(|node| node.as_str());
        let before = || index.checked_sub(1).and_then(|before| readers[before].as_ref());
        read.extend(match chosen {
            Some(id) => named(id),
            None => before(),
        });
    }
    read.dedup_by(|one, other| one.id == other.id);
    read
}

//! Which step waits for which, and whose tables it reads.

use osiris_core::problem::nearest;
use osiris_core::{Code, Role};

use super::step::Checked;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Pipeline, Step};
use crate::parse::{place_of, steps_by_id};
use crate::source::Span;

/// The edges that lead into a step, by index of the step they come from.
#[derive(Debug, Default)]
pub(super) struct Wiring {
    /// The tables it reads, with their keys.
    pub(super) upstream: Vec<(Option<String>, usize)>,
    /// What it waits for.
    pub(super) dependencies: Vec<usize>,
}

impl Wiring {
    fn wait_for(&mut self, index: usize) {
        if !self.dependencies.contains(&index) {
            self.dependencies.push(index);
        }
    }

    fn reads(&self, index: usize) -> bool {
        self.upstream.iter().any(|(_, other)| *other == index)
    }
}

/// The wiring of every step. What a step's inputs cannot be is reported.
pub(super) fn wire(pipeline: &Pipeline, checked: &[Checked], diagnostics: &mut Diagnostics) -> Vec<Wiring> {
    let by_id = steps_by_id(&pipeline.steps);
    let wires = Wires { pipeline, roles: checked.iter().map(Checked::role).collect(), by_id, diagnostics };
    wires.all(checked)
}

/// Warns of extractors whose rows no step reads. A transformation may be there for its assertions.
pub(super) fn warn_of_unread(
    pipeline: &Pipeline,
    checked: &[Checked],
    wirings: &[Wiring],
    diagnostics: &mut Diagnostics,
) {
    for (index, step) in pipeline.steps.iter().enumerate() {
        let is_read = wirings.iter().any(|wiring| wiring.reads(index));
        if checked[index].role() == Some(Role::Extract) && !is_read {
            let warning = Diagnostic::warning(format!("no step reads the table of `{}`", step.written_id()));
            let warning = warning.at(&pipeline.source, step.id.span);
            diagnostics.push(warning.with_hint("add a writer, or remove the step"));
        }
    }
}

struct Wires<'a, 'd> {
    pipeline: &'a Pipeline,
    roles: Vec<Option<Role>>,
    by_id: std::collections::BTreeMap<&'a str, usize>,
    diagnostics: &'d mut Diagnostics,
}

impl Wires<'_, '_> {
    fn all(mut self, checked: &[Checked]) -> Vec<Wiring> {
        (0..checked.len()).map(|index| self.one(index, &checked[index])).collect()
    }

    fn one(&mut self, index: usize, checked: &Checked) -> Wiring {
        let pipeline = self.pipeline;
        let step = &pipeline.steps[index];
        let role = self.roles[index];
        let mut wiring = Wiring::default();
        for input in &step.inputs {
            let Some(source) = self.by_id.get(input.step.value.as_str()).copied() else { continue };
            wiring.wait_for(source);
            if self.makes_no_table(source) {
                let message = format!("step `{}` writes, so it makes no table", input.step.value);
                self.report(input.step.span, message, "name the step whose table it writes");
            } else {
                wiring.upstream.push((Some(input.key.clone()), source));
            }
        }
        // A writer that names its inputs needs the others only to have run; a processor may read them by their ids.
        let needs_are_tables = step.inputs.is_empty() || role == Some(Role::Transform);
        for need in &step.needs {
            let Some(source) = self.by_id.get(need.value.as_str()).copied() else { continue };
            wiring.wait_for(source);
            if needs_are_tables && !self.makes_no_table(source) && !wiring.reads(source) {
                wiring.upstream.push((None, source));
            }
        }
        match role {
            Some(Role::Extract) => self.no_input(step, checked, &mut wiring),
            Some(role) => self.some_input(index, role, checked, &mut wiring),
            None => {}
        }
        wiring
    }

    fn makes_no_table(&self, index: usize) -> bool {
        self.roles[index] == Some(Role::Write)
    }

    fn report(&mut self, span: Span, message: String, hint: impl Into<String>) {
        let diagnostic = Diagnostic::error(message).with_code(Code::UnknownStep);
        self.diagnostics.push(diagnostic.at(&self.pipeline.source, span).with_hint(hint));
    }

    fn no_input(&mut self, step: &Step, checked: &Checked, wiring: &mut Wiring) {
        wiring.upstream.clear();
        let component = &step.component.value;
        let place =
            step.inputs.first().map(|input| input.step.span).or(checked.input_step.as_ref().map(|name| name.span));
        if let Some(place) = place {
            self.report(
                place,
                format!("`{component}` reads a source and takes no input"),
                "to only wait for a step, write `needs: [step]`",
            );
        }
    }

    fn some_input(&mut self, index: usize, role: Role, checked: &Checked, wiring: &mut Wiring) {
        let step = &self.pipeline.steps[index];
        if step.needs.is_empty() && step.inputs.is_empty() {
            match self.implied(index, checked) {
                Some(source) => {
                    wiring.wait_for(source);
                    wiring.upstream.push((None, source));
                }
                None => return,
            }
        } else if wiring.upstream.is_empty() && step.inputs.is_empty() {
            let message = format!("step `{}` needs a table, and the steps it names make none", step.id.value);
            let place = step.needs.first().map_or(step.id.span, |need| need.span);
            self.report(place, message, "name the step whose table it reads as well");
            return;
        }
        self.choose(step, role, checked, wiring);
    }

    /// The default input of a step without `needs` and `inputs`: the step before it.
    fn implied(&mut self, index: usize, checked: &Checked) -> Option<usize> {
        let step = &self.pipeline.steps[index];
        if let Some(named) = &checked.input_step
            && let Some(source) = self.by_id.get(named.value.as_str())
        {
            return Some(*source);
        }
        let id = &step.id.value;
        if !checked.needs_input() && (step.needs_nothing || index == 0) {
            return None;
        }
        let Some(before) = index.checked_sub(1) else {
            let message = format!("step `{id}` needs an input, and no step comes before it");
            self.report(step.id.span, message, "name the step whose table it reads: `needs: [step]`");
            return None;
        };
        if self.makes_no_table(before) {
            let other = &self.pipeline.steps[before].id.value;
            let message = format!("step `{id}` needs a table, and the step before it (`{other}`) makes none");
            self.report(step.id.span, message, "name the step whose table it reads: `needs: [step]`");
            return None;
        }
        Some(before)
    }

    /// A writer takes one table; `input_step` says which of several.
    fn choose(&mut self, step: &Step, role: Role, checked: &Checked, wiring: &Wiring) {
        let names: Vec<&str> =
            wiring.upstream.iter().map(|(_, index)| self.pipeline.steps[*index].id.value.as_str()).collect();
        if let Some(wanted) = &checked.input_step {
            let keys = wiring.upstream.iter().filter_map(|(key, _)| key.as_deref());
            if !names.iter().copied().chain(keys).any(|name| name == wanted.value) {
                let hint = match nearest(&wanted.value, names.iter().copied()) {
                    Some(similar) => format!("did you mean `{similar}`?"),
                    None => format!("inputs: {}", names.join(", ")),
                };
                self.report(
                    wanted.span,
                    format!("`{}` is not an input of step `{}`", wanted.value, step.id.value),
                    hint,
                );
            }
        } else if role == Role::Write && names.len() > 1 {
            let place = names.get(1).and_then(|second| place_of(step, second)).unwrap_or(step.id.span);
            let message =
                format!("step `{}` writes one table and is given {}: {}", step.id.value, names.len(), names.join(", "));
            self.report(
                place,
                message,
                "say which: `inputs: {table: \"${step.table}\"}`; the others stay under `needs`",
            );
        }
    }
}

/// The error of a cycle, named along its edges.
pub(super) fn cycle(pipeline: &Pipeline, nodes: &[usize]) -> Diagnostic {
    let steps: Vec<&Step> = nodes.iter().map(|index| &pipeline.steps[*index]).collect();
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    let ids: Vec<&str> = steps.iter().chain([&first]).map(|step| step.id.value.as_str()).collect();
    let next = if steps.len() > 1 { steps[1] } else { first };
    let place = place_of(first, &next.id.value).unwrap_or(first.id.span);
    let message = match steps.as_slice() {
        [one] => format!("step `{}` waits for itself", one.id.value),
        _ => format!("these steps wait for each other: {}", ids.join(" -> ")),
    };
    let diagnostic = Diagnostic::error(message).with_code(Code::StepCycle).at(&pipeline.source, place);
    let diagnostic = diagnostic.with_hint("remove one of these dependencies");
    match place_of(last, &first.id.value).filter(|_| steps.len() > 1) {
        Some(closing) => diagnostic.with_related(closing, "and this completes the cycle"),
        None => diagnostic,
    }
}

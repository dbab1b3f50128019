//! The standard input can be read once: two steps that read it are refused. Two that write the standard output are two
//! writers of one destination.

use super::step::Checked;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Pipeline, Step};

/// Compares the steps that read the standard input.
pub(super) fn check(pipeline: &Pipeline, checked: &[Checked], diagnostics: &mut Diagnostics) {
    let reads = |checked: &Checked| checked.prepared.step().is_some_and(|step| step.stdio().stdin);
    let mut readers = pipeline.steps.iter().zip(checked).filter(|(_, checked)| reads(checked)).map(|(step, _)| step);
    let Some(first) = readers.next() else { return };
    readers.for_each(|second| diagnostics.push(read_twice(pipeline, first, second)));
}

fn read_twice(pipeline: &Pipeline, first: &Step, second: &Step) -> Diagnostic {
    let (one, two) = (&first.id.value, &second.id.value);
    Diagnostic::error(format!("steps `{one}` and `{two}` both read the standard input, which can be read once"))
        .at(&pipeline.source, second.component.span)
        .with_related(first.component.span, format!("step `{one}` reads it here"))
        .with_hint(format!("read it in `{one}` and name that step in `needs` of the others"))
}

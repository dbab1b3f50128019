//! Two steps that write one destination: refused where one would destroy what the other wrote.

use osiris_core::{Code, DestinationId};

use super::step::{Checked, pointer_as_written};
use super::wiring::Wiring;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Pipeline, Step};
use crate::source::Span;

/// A step that writes, with what it writes to.
struct Writer<'a> {
    index: usize,
    step: &'a Step,
    destination: DestinationId,
    /// The same without what it may ignore.
    folded: DestinationId,
    place: Span,
}

/// Compares every two writers of the pipeline.
pub(super) fn check(pipeline: &Pipeline, checked: &[Checked], wirings: &[Wiring], diagnostics: &mut Diagnostics) {
    let steps = pipeline.steps.iter().zip(checked).enumerate();
    let writers: Vec<Writer<'_>> = steps.filter_map(|(index, (step, checked))| writer(index, step, checked)).collect();
    for (number, second) in writers.iter().enumerate() {
        // One report for each step is enough.
        let twins = writers[..number].iter().find(|first| are_twins(first, second));
        if let Some(first) = twins {
            diagnostics.push(of_tables(pipeline, first, second));
            continue;
        }
        let clash = writers[..number].iter().find_map(|first| Some((first, clash(first, second, wirings)?)));
        if let Some((first, (why, hint))) = clash {
            let (one, two) = (&first.step.id.value, &second.step.id.value);
            let what = (second.destination.kind(), &second.destination);
            let message = format!("steps `{one}` and `{two}` write the same {}, {}: {why}", what.0, what.1);
            let diagnostic = Diagnostic::error(message).with_code(Code::TwoWriters).at(&pipeline.source, second.place);
            diagnostics
                .push(diagnostic.with_related(first.place, format!("step `{one}` writes it here")).with_hint(hint));
        }
    }
}

fn writer<'a>(index: usize, step: &'a Step, checked: &Checked) -> Option<Writer<'a>> {
    let driver = checked.driver.as_ref()?;
    let destination = checked.prepared.step()?.destination()?;
    let pointer = pointer_as_written(&step.config, &format!("/{}", destination.field()), driver.config_schema());
    let found = step.config.find(&pointer);
    let place = if found.is_exact { found.value_span() } else { step.component.span };
    let folded = destination.folded();
    Some(Writer { index, step, destination, folded, place })
}

/// Whether two steps write two tables of one group to what is, or may be, the same.
fn are_twins(first: &Writer<'_>, second: &Writer<'_>) -> bool {
    let (Some(one), Some(two)) = (&first.step.group, &second.step.group) else { return false };
    one.group == two.group && first.folded.is_same_as(&second.folded)
}

fn of_tables(pipeline: &Pipeline, first: &Writer<'_>, second: &Writer<'_>) -> Diagnostic {
    let table = |writer: &Writer<'_>| {
        let member = writer.step.group.as_ref();
        member.and_then(|member| member.table.clone()).unwrap_or_else(|| writer.step.id.value.clone())
    };
    let (one, two, destination) = (table(first), table(second), &second.destination);
    let case = match first.destination.is_same_as(destination) {
        true => "",
        false => "; their names differ only by case, which it may ignore",
    };
    let message = format!(
        "the tables `{one}` and `{two}` would be written to the same {}, {destination}{case}",
        destination.kind()
    );
    Diagnostic::error(message).with_code(Code::TwoWriters).at(&pipeline.source, second.place).with_hint(
        "name each by all that tells them apart, such as `{schema}_{table}`, or exclude one with `\"!NAME\"`",
    )
}

/// Why two steps must not both write, and what to do instead.
fn clash(first: &Writer<'_>, second: &Writer<'_>, wirings: &[Wiring]) -> Option<(String, String)> {
    if !first.destination.is_same_as(&second.destination) {
        return None;
    }
    let (one, two) = (&first.step.id.value, &second.step.id.value);
    let replacing = [(first, one), (second, two)].into_iter().find(|(writer, _)| writer.destination.replaces());
    if let Some((_, replacing)) = replacing {
        let why = format!("`{replacing}` replaces what the other has written");
        return Some((why, "write to another destination, or combine the rows in a step before".to_owned()));
    }
    let ordered = waits(second.index, first.index, wirings) || waits(first.index, second.index, wirings);
    if first.destination.has_one_writer() && !ordered {
        let why = "neither waits for the other, so both would write to it at the same time".to_owned();
        return Some((
            why,
            format!("let one wait for the other: add `{one}` to `needs` of `{two}`; or write to another destination"),
        ));
    }
    None
}

/// Whether a step begins only after another has ended.
fn waits(step: usize, wanted: usize, wirings: &[Wiring]) -> bool {
    let mut seen = vec![false; wirings.len()];
    let mut waiting = vec![step];
    while let Some(index) = waiting.pop() {
        for &dependency in &wirings[index].dependencies {
            if dependency == wanted {
                return true;
            }
            if !std::mem::replace(&mut seen[dependency], true) {
                waiting.push(dependency);
            }
        }
    }
    false
}

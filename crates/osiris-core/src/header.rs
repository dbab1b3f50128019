//! Headers that a step may add to the requests of its connection: those that carry no credential.

use serde_json::{Map, Value};

use crate::config::escape;
use crate::secret::is_guarded_header;
use crate::{ConnectionRef, Problem};

/// Adds the headers that a step writes to those of its connection, in the field `field`. One that the connection has already, in any
/// case, is a problem, since it may be a credential whatever its name; so is a guarded one. Returns the names of those that were
/// added, and the problems.
pub(crate) fn add(
    fields: &mut Map<String, Value>,
    field: &str,
    of_step: &Value,
    reference: &ConnectionRef,
) -> (Vec<String>, Vec<Problem>) {
    let (mut added, mut problems) = (Vec::new(), Vec::new());
    let Some(of_step) = of_step.as_object() else {
        problems
            .push(Problem::error(format!("/{}", escape(field)), "expected headers by name, such as `{X-Trace: abc}`"));
        return (added, problems);
    };
    let slot = fields.entry(field.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    // A definition that is wrong is reported as such.
    let Some(headers) = slot.as_object_mut() else { return (added, problems) };
    for (name, value) in of_step {
        let pointer = format!("/{}/{}", escape(field), escape(name));
        let is_defined = headers.keys().any(|other| other.eq_ignore_ascii_case(name));
        let message = match (is_guarded_header(name), is_defined) {
            (true, _) => format!("the header `{name}` may carry a credential and must not be set in a step"),
            (false, true) => format!("the header `{name}` of {reference} must not be overridden in a step"),
            (false, false) => {
                headers.insert(name.clone(), value.clone());
                added.push(name.clone());
                continue;
            }
        };
        problems.push(Problem::error(pointer, message).with_hint(format!("write it under `{field}` of a connection")));
    }
    (added, problems)
}

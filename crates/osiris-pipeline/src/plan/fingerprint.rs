//! Fingerprints: one word for what a value, or a step's table, depends on.

use std::collections::BTreeMap;

use osiris_core::secret::mask_document_by_form;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::PlannedStep;

/// SHA-256 of a value's JSON with sorted keys, so that the order of keys and comments in the file do not matter.
pub(super) fn fingerprint(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    let digest = Sha256::digest(sorted.to_string().as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Gives every step the fingerprint of what its table depends on: the component, its configuration, where its
/// connection leads (not the secrets), and the tables it reads. How often it is tried does not matter. Steps are in
/// running order.
pub(super) fn assign(steps: &mut [PlannedStep]) {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for step in steps {
        let spec = step.driver.spec();
        let request = &step.request;
        let inputs: Vec<Value> = step
            .upstream
            .iter()
            .map(|(key, from)| json!({"key": key, "step": from, "table": known.get(from)}))
            .collect();
        let print = fingerprint(&json!({
            "component": spec.name,
            "version": spec.version,
            "config": step.config,
            "connection": public_fields(step),
            "inputs": inputs,
            "input_step": request.input_step,
            "dry_run": request.dry_run,
        }));
        known.insert(step.id.clone(), print.clone());
        step.request.fingerprint = Some(print);
    }
}

/// The fields of the connection that hold no secret: a rotated password leads to the same rows.
fn public_fields(step: &PlannedStep) -> Value {
    let schema = step.driver.connection_schema();
    let fields = step.connection.fields().as_object().into_iter().flatten();
    let public = fields.filter(|(name, _)| !schema.is_secret(name)).map(|(name, value)| (name.clone(), value.clone()));
    let mut public = Value::Object(public.collect::<Map<_, _>>());
    mask_document_by_form(&mut public);
    public
}

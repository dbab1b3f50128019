//! The manifest of a plan: what would run, as JSON that is the same, byte for byte, for the same input on every
//! machine. It holds no secret, no path of this machine, no time. What has the form of an access token, and the secrets
//! of addresses, are masked wherever they stand, also in fields that no schema calls a secret.

use osiris_core::secret::{mask_document_by_form, mask_literals_of};
use osiris_core::{Backoff, MASK, ResumeFrom, RetryPolicy, Role};
use serde_json::{Map, Value, json};

use super::fingerprint::fingerprint;
use super::{Plan, PlannedStep};
use crate::model::OML_VERSION;

/// The manifest with its keys sorted.
pub(super) fn manifest(plan: &Plan) -> Value {
    let params = params(plan);
    let components = components(plan);
    let mut pipeline = plan.pipeline.document.to_json();
    if let Some(metadata) = pipeline.get_mut("metadata") {
        // No schema says what is secret in it.
        mask_literals_of(metadata, false, true);
    }
    mask_document(&mut pipeline, plan);
    let mut manifest = json!({
        "oml_version": OML_VERSION,
        "name": plan.name(),
        "profile": plan.options.profile,
        "fingerprints": {
            "pipeline": fingerprint(&pipeline),
            "params": fingerprint(&params),
            "components": fingerprint(&components),
        },
        "params": params,
        "components": components,
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
    });
    if !plan.groups().is_empty() {
        let groups = plan.groups().iter().map(|group| json!({"id": group.id, "tables": group.patterns}));
        manifest["groups"] = groups.collect();
    }
    if let Some(metadata) = pipeline.get("metadata").filter(|metadata| !metadata.is_null()) {
        manifest["metadata"] = metadata.clone();
    }
    mask_document(&mut manifest, plan);
    manifest.sort_all_objects();
    manifest
}

/// Masks the secrets of the plan, and whatever is a secret by its form.
fn mask_document(document: &mut Value, plan: &Plan) {
    plan.redactor.scrub_document(document);
    mask_document_by_form(document);
}

/// Values of parameters that look secret are masked: a fingerprint of a short secret would give it away.
fn params(plan: &Plan) -> Value {
    let shown = plan.params.iter().map(|(name, value)| {
        let value = if plan.is_secret_param(name) { Value::from(MASK) } else { value.clone() };
        (name.clone(), value)
    });
    Value::Object(shown.collect())
}

/// The components that the steps run, with a fingerprint of what each accepts.
fn components(plan: &Plan) -> Value {
    let mut components = Map::new();
    for step in &plan.steps {
        let spec = step.driver.spec();
        components.entry(spec.name).or_insert_with(|| {
            let schemas = json!([step.driver.config_schema().json(), step.driver.connection_schema().json()]);
            json!({"version": spec.version, "mode": spec.role.mode(), "schema": fingerprint(&schemas)})
        });
    }
    components.sort_keys();
    Value::Object(components)
}

fn step(step: &PlannedStep) -> Value {
    let mut manifest = manifest_of(step);
    if let Some(group) = &step.group {
        manifest["group"] = json!(group);
    }
    manifest
}

fn manifest_of(step: &PlannedStep) -> Value {
    let request = &step.request;
    let inputs: Vec<Value> = step.upstream.iter().map(|(key, step)| json!({"key": key, "step": step})).collect();
    json!({
        "id": step.id,
        "component": step.driver.spec().name,
        "mode": step.driver.spec().role.mode(),
        "config": step.shown_config(),
        "connection": step.connection.reference().map(ToString::to_string),
        "connection_overrides": step.overrides,
        "input_step": request.input_step,
        "inputs": inputs,
        "needs": step.dependencies,
        "retry": retry(&request.retry),
        "resume": match (step.driver.spec().role, step.resume) {
            (Role::Extract, ResumeFrom::Source) => Some("source"),
            (Role::Extract, ResumeFrom::Store) => Some("store"),
            (Role::Transform | Role::Write, _) => None,
        },
        "timeout_ms": request.timeout.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
    })
}

fn retry(policy: &RetryPolicy) -> Value {
    let backoff = match policy.backoff {
        Backoff::Exponential => "exponential",
        Backoff::Linear => "linear",
        Backoff::Fixed => "fixed",
    };
    json!({
        "max_attempts": policy.max_attempts,
        "backoff": backoff,
        "initial_delay_ms": u64::try_from(policy.initial_delay.as_millis()).unwrap_or(u64::MAX),
        "max_delay_ms": u64::try_from(policy.max_delay.as_millis()).unwrap_or(u64::MAX),
        "patience_ms": u64::try_from(policy.patience.as_millis()).unwrap_or(u64::MAX),
    })
}

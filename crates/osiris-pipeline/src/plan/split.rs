//! What a pipeline step writes under `config`, apart: the component's own fields, and what every step may have.

use osiris_core::Driver;
use serde_json::{Map, Value};

/// The fields of a step by what they are for.
#[derive(Debug, Default)]
pub(super) struct StepFields {
    /// The component's own.
    pub(super) config: Map<String, Value>,
    /// What stands under `connection`.
    pub(super) connection: Option<Value>,
    /// Fields of the connection that the step overrides.
    pub(super) overrides: Map<String, Value>,
    /// Which of several inputs to take.
    pub(super) input_step: Option<Value>,
    /// Check everything, change nothing.
    pub(super) dry_run: Option<Value>,
}

impl StepFields {
    /// Those of `config`. A name that the component knows is its own.
    pub(super) fn of(driver: &dyn Driver, config: Map<String, Value>) -> Self {
        let mut split = Self::default();
        for (name, value) in config {
            let own = driver.config_schema().field_named(&name).is_some();
            match name.as_str() {
                _ if own => drop(split.config.insert(name, value)),
                "connection" => split.connection = Some(value),
                "input_step" => split.input_step = Some(value),
                "dry_run" => split.dry_run = Some(value),
                _ if driver.connection_schema().field_named(&name).is_some() => {
                    split.overrides.insert(name, value);
                }
                _ => drop(split.config.insert(name, value)),
            }
        }
        split
    }
}

//! The JSON Schemas of the files of a project, for editors and for programs that write them. The fields of components and
//! connections are those of their own schemas; the keys of a pipeline and of a step are compared with the parser's by a
//! test.

mod field;

use osiris_core::connection::{LABELS, is_label};
use osiris_core::{ConnectionUse, Driver, Registry, Role};
use serde_json::{Map, Value, json};

use self::field::{Definitions, may_be_reference};
use crate::group::can_read_groups;
use crate::model::OML_VERSION;
use crate::params::ParamType;

/// The dialect: the one that editors know best.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema of a pipeline file, with every component of the registry.
pub fn pipeline_schema(registry: &Registry) -> Value {
    let mut definitions = Definitions::default();
    let components: Vec<(&str, &str, Vec<&dyn Driver>)> = components(registry);
    let names: Vec<Value> =
        components.iter().map(|(name, title, _)| json!({"const": name, "description": title})).collect();
    let configs: Vec<Value> = components
        .iter()
        .map(|(name, _, drivers)| {
            let configs: Vec<Value> = drivers.iter().map(|driver| config(*driver, &mut definitions)).collect();
            json!({
                "if": {"properties": {"component": {"const": name}}, "required": ["component"]},
                "then": {"properties": {"config": {"anyOf": configs}}},
            })
        })
        .collect();
    let mut step = step_keys();
    step.insert("component".to_owned(), json!({"description": "What the step does: `family.name`.", "oneOf": names}));
    json!({
        "$schema": DIALECT,
        "title": "Osiris pipeline",
        "type": "object",
        "additionalProperties": false,
        "required": ["oml_version", "name", "steps"],
        "properties": pipeline_keys(),
        "definitions": {
            "step": {
                "type": "object",
                "additionalProperties": false,
                "required": ["id", "component"],
                "properties": step,
                "allOf": configs,
            },
            "components": definitions.into_json(),
        },
    })
}

/// The schema of a connections file, with every family of the registry that has connections.
pub fn connections_schema(registry: &Registry) -> Value {
    let mut definitions = Definitions::default();
    let mut families = Map::new();
    for driver in registry.iter().filter(|driver| driver.spec().connection != ConnectionUse::None) {
        let family = driver.spec().family();
        if families.contains_key(family) {
            continue;
        }
        let mut fields = definitions.fields(&format!("{family}.connection"), driver.connection_schema().json());
        fields.insert(
            "default".to_owned(),
            json!({"type": "boolean", "description": "Whether steps that name no connection use this one."}),
        );
        fields.insert(
            "overrides".to_owned(),
            json!({"type": "array", "items": {"type": "string"}, "description": "Fields that steps may set."}),
        );
        for label in LABELS.into_iter().filter(|label| is_label(label, driver.connection_schema())) {
            fields.insert(label.to_owned(), json!({"type": ["string", "null"], "description": "A label, for people."}));
        }
        let connection = json!({"type": "object", "additionalProperties": false, "properties": fields});
        families.insert(family.to_owned(), json!({"type": "object", "additionalProperties": connection}));
    }
    json!({
        "$schema": DIALECT,
        "title": "Osiris connections",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "version": {"description": "The version of the format.", "enum": [1, "1", "1.0", null]},
            "groups": {"description": "Accepted with a warning: a step names its connection."},
            "connections": {
                "description": "Connections by family, and below it by name.",
                "type": "object",
                "additionalProperties": false,
                "properties": families,
            },
        },
        "definitions": {"components": definitions.into_json()},
    })
}

/// The schema of `osiris.yaml`.
pub fn settings_schema() -> Value {
    let count = |what: &str| json!({"type": ["integer", "string"], "minimum": 1, "description": what});
    let path = |what: &str| json!({"type": "string", "minLength": 1, "description": what});
    json!({
        "$schema": DIALECT,
        "title": "Osiris settings",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
            "memory_limit": {
                "type": ["integer", "string"],
                "description": "Memory for a run's tables, such as `4GB`, at least 32 MB. Default: 60% of the machine's or the container's.",
            },
            "threads": count("Threads of the run store. Default: one for every core."),
            "jobs": count("How many steps may run in parallel. Default: 4."),
            "store": {"enum": ["file", "memory"], "description": "Where the tables of a run live. Default: file."},
            "run_dir": path("The directory of runs and state. Default: `.osiris`, beside this file."),
            "run_retention": {
                "type": "string",
                "pattern": "[a-z]\\s*$",
                "description": "After a run, runs older than this are removed, such as `30d`, but never the newest 20 of a pipeline nor the \
                                latest that can be resumed: as `osiris runs clean --older-than` does. Default: none is removed.",
            },
            "connections": path("The connections file. Default: the nearest `osiris_connections.yaml`, upwards from the pipeline."),
            "log_level": {
                "enum": ["off", "error", "warn", "info", "debug", "trace"],
                "description": "From which level on the program logs. Default: warn.",
            },
            "log_format": {"enum": ["text", "json"], "description": "How the program logs. Default: text."},
            "on_failure": {
                "type": "object",
                "additionalProperties": false,
                "required": ["webhook"],
                "properties": {"webhook": {"type": "string", "description": "An http or https URL; may hold variables, as `${NAME}`."}},
                "description": "`{webhook: URL}`: after a run that failed, a summary is posted there as JSON. The URL is a secret, and may hold \
                                variables, such as `${WEBHOOK_URL}`; the variable of this setting holds the URL alone. Default: nothing is sent.",
            },
        },
    })
}

/// Every name that a step may have under `component`, with its title and the drivers that it may stand for.
fn components(registry: &Registry) -> Vec<(&str, &str, Vec<&dyn Driver>)> {
    let drivers = registry.iter().map(|driver| (driver.spec().name, driver.spec().title, vec![&**driver]));
    let aliases = registry.aliases().map(|alias| {
        let drivers: Vec<&dyn Driver> = alias
            .components()
            .iter()
            .filter_map(|name| registry.iter().find(|driver| driver.spec().name == *name))
            .map(|driver| &**driver)
            .collect();
        (alias.name(), "One of its family, by the file", drivers)
    });
    drivers.chain(aliases).collect()
}

/// What may stand under `config` of a step with this component.
fn config(driver: &dyn Driver, definitions: &mut Definitions) -> Value {
    let spec = driver.spec();
    let mut fields = Map::new();
    if spec.connection != ConnectionUse::None {
        // Fields of the connection that a step overrides stand beside its own.
        fields = definitions.fields(&format!("{}.connection", spec.family()), driver.connection_schema().json());
        let default =
            if spec.connection == ConnectionUse::Optional { "none" } else { "the family's default connection" };
        let connection = json!({
            "type": "string",
            "description": format!("The connection to use, as `@family.alias`. Default: {default}."),
        });
        fields.insert("connection".to_owned(), connection);
    }
    if spec.role != Role::Extract {
        let input = json!({"type": "string", "description": "Which step's table to take, where there are several."});
        fields.insert("input_step".to_owned(), input);
    }
    let dry_run = json!({"type": "boolean", "description": "Check everything and change nothing, in this step only."});
    fields.insert("dry_run".to_owned(), may_be_reference(dry_run));
    let own = driver.config_schema();
    fields.extend(definitions.fields(spec.name, own.json()));
    if can_read_groups(driver) {
        let text = json!({"type": "string", "minLength": 1});
        let tables = json!({
            "description": "In the place of `table`: patterns of the tables to read, each by a step of its own, and with `!` of those to leave out.",
            "anyOf": [text, {"type": "array", "items": text, "minItems": 1}, {"type": "null"}],
        });
        fields.insert("tables".to_owned(), tables);
    }
    // A field may be written by another name.
    let required: Vec<&str> = own.json()["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| own.json()["properties"][*name]["x-aliases"].is_null())
        .collect();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": fields})
}

/// The keys of a pipeline.
fn pipeline_keys() -> Value {
    let value = json!({"type": ["string", "number", "boolean", "null"]});
    let text = |what: &str| json!({"type": "string", "description": what});
    json!({
        "oml_version": {"const": OML_VERSION, "description": "The version of the format."},
        "name": {"type": "string", "minLength": 1, "description": "The name: of its state and its lock, too."},
        "description": text("What it is for."),
        "metadata": {"description": "For other programs: kept in the manifest, not looked at."},
        "schedule": {"description": "Accepted with a warning: nothing here starts runs."},
        "params": {
            "description": "Values that `${params.name}` stands for; given by `--param`, a profile or OSIRIS_PARAM_NAME.",
            "type": "object",
            "additionalProperties": {"anyOf": [value, {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "type": {"enum": ParamType::NAMES, "description": "Default: string."},
                    "default": value,
                    "enum": {"type": "array", "minItems": 1, "items": value, "description": "The values that are allowed."},
                    "required": {"type": "boolean"},
                    "secret": {"type": "boolean", "description": "Whether its value is masked everywhere."},
                    "description": text("What it is for."),
                },
            }]},
        },
        "profiles": {
            "description": "Sets of values for parameters, chosen by `--profile`.",
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "null"}, {
                "type": "object",
                "additionalProperties": false,
                "properties": {"params": {"type": "object", "additionalProperties": value}},
            }]},
        },
        "steps": {
            "description": "What is read, transformed and written.",
            "type": "array",
            "minItems": 1,
            "items": {"$ref": "#/definitions/step"},
        },
    })
}

/// The keys of a step, `component` apart.
fn step_keys() -> Map<String, Value> {
    let milliseconds =
        |what: &str| json!({"type": "integer", "minimum": 0, "maximum": 86_400_000, "description": what});
    let keys = json!({
        "id": {
            "description": "Its id, which is the name of its table.",
            "type": "string",
            "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
            "maxLength": 100,
        },
        "name": {"type": "string", "description": "A title, shown by `osiris plan` and `osiris run`."},
        "description": {"type": "string", "description": "What it is for."},
        "mode": {
            "description": "What it does with tables; must fit the component.",
            "enum": ["read", "transform", "write", "extract", "discover"],
        },
        "config": {"type": "object", "description": "The configuration of the component."},
        "needs": {
            "description": "The steps whose tables it uses.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        },
        "inputs": {
            "description": "The same, with other names for its SQL: `{films: \"${movies.table}\"}`.",
            "type": "object",
            "additionalProperties": {"type": "string"},
        },
        "retry": {
            "description": "When an attempt that failed for a while is made again.",
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "max_attempts": {"type": "integer", "minimum": 1, "maximum": 100, "description": "Default: 3, and as many as fit into 90 s."},
                "backoff": {"enum": ["exponential", "linear", "fixed"], "description": "How the wait grows. Default: exponential."},
                "initial_delay_ms": milliseconds("The first wait. Default: 1000."),
                "max_delay_ms": milliseconds("The longest wait. Default: 30000."),
            },
        },
        "timeout": {
            "description": "How long an attempt may take. Default: no limit.",
            "type": "object",
            "additionalProperties": false,
            "required": ["step_ms"],
            "properties": {"step_ms": {"type": "integer", "minimum": 1, "maximum": 86_400_000}},
        },
        "resume": {
            "description": "For a step that reads: what a resumed run takes its rows from. Default: source for databases, else store.",
            "enum": ["source", "store"],
        },
    });
    match keys {
        Value::Object(keys) => keys,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::parse::{PIPELINE_KEYS, STEP_KEYS};
    use crate::settings::NAMES;

    #[test]
    fn the_keys_are_those_of_the_parser() {
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let wanted = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(names(&pipeline_keys()), wanted(PIPELINE_KEYS));
        let mut step = step_keys();
        step.insert("component".to_owned(), Value::Null);
        assert_eq!(names(&Value::Object(step)), wanted(STEP_KEYS));
        assert_eq!(names(&settings_schema()["properties"]), wanted(NAMES));
    }
}

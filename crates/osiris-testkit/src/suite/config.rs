//! Rules about configuration and connection: what is checked before anything is opened.

use jsonschema::validator_for;
use osiris_core::connection::{self, OverridePolicy};
use osiris_core::{ConfigSchema, ConnectionRef, ConnectionUse, ErrorKind, Problem, ResolvedConnection, event};
use serde_json::{Map, Value, json};

use super::defaults::default_of;
use crate::alone::{Alone, is_second};
use crate::trial::{STEP, ensure, not_applicable};
use crate::{Job, Outcome, Subject, Trial, Verdict, Violation};

/// A field that no component has.
const UNKNOWN: &str = "no_such_field_at_all";

/// DRV-004: the environment and files that look like connections change nothing; the connection's required fields are
/// checked by name, unknown ones refused.
///
/// # Errors
/// What was seen instead.
pub async fn drv_004_uses_only_the_resolved_connection<S: Subject>(trial: &Trial<S>) -> Outcome {
    let decoys = decoys(trial)?;
    for environment in [Vec::new(), decoys] {
        let alone = Alone::new().with_environment(environment);
        alone.run(trial.test(), runs_as_expected(trial)).await?;
        if is_second() {
            return Ok(Verdict::Holds);
        }
    }
    let bench = trial.bench()?;
    let driver = trial.driver(&bench)?;
    if driver.spec().connection == ConnectionUse::None {
        return Ok(Verdict::Holds);
    }
    let job = trial.job(3).await?;
    let Value::Object(fields) = &job.connection else { return Ok(Verdict::Holds) };
    let problems_of = |fields: Map<String, Value>| {
        driver.family().check_connection(&ResolvedConnection::from_fields(fields, driver.connection_schema()))
    };
    for field in required(driver.connection_schema()) {
        let mut without = fields.clone();
        without.retain(|name, _| driver.connection_schema().field_named(name) != Some(field));
        ensure!(names_all(&problems_of(without), [field]), "a connection without `{field}` is not refused by name");
    }
    let mut with = fields.clone();
    with.insert(UNKNOWN.to_owned(), json!(1));
    ensure!(names_all(&problems_of(with), [UNKNOWN]), "an unknown field of the connection is accepted");
    Ok(Verdict::Holds)
}

async fn runs_as_expected<S: Subject>(trial: &Trial<S>) -> Outcome {
    let decoy = "version: 1\nconnections: {decoy: {decoy: {host: decoy, default: true}}}\n";
    trial.place().write("osiris_connections.yaml", decoy)?;
    trial.place().write(".env", "HOST=decoy\nPASSWORD=decoy\n")?;
    let ready = trial.ready(5).await?;
    let output = ready.run().await?;
    if output.table.is_some() {
        ready.compare(&output).await?;
    }
    ensure!(output.rows > 0, "no rows came through");
    Ok(Verdict::Holds)
}

/// Variables that a driver that reads the environment would find: every connection field in the usual spellings.
fn decoys<S: Subject>(trial: &Trial<S>) -> Result<Vec<(String, String)>, Violation> {
    let bench = trial.bench()?;
    let driver = trial.driver(&bench)?;
    let family = driver.spec().family().to_uppercase();
    let schema = driver.connection_schema();
    let names = schema.fields().flat_map(|(field, _)| std::iter::once(field).chain(schema.aliases(field)));
    let mut decoys: Vec<(String, String)> = names
        .map(str::to_uppercase)
        .flat_map(|name| [format!("{family}_{name}"), format!("OSIRIS_{family}_{name}"), name])
        .map(|name| (name, "decoy".to_owned()))
        .collect();
    let others = ["DATABASE_URL", "PGHOST", "PGPASSWORD", "PGUSER", "MYSQL_PWD", "AWS_ACCESS_KEY_ID", "OSIRIS_CONFIG"];
    decoys.extend(others.map(|name| (name.to_owned(), "decoy".to_owned())));
    Ok(decoys)
}

/// DRV-005: a configuration in which everything is wrong gets all its problems at once, those that its schema sees and those that
/// only the component sees, without a file touched or a connection tried.
///
/// # Errors
/// What was seen instead.
pub async fn drv_005_reports_every_config_problem_before_any_io<S: Subject>(trial: &Trial<S>) -> Outcome {
    let job = trial.job(3).await?;
    let (wrong, fields) = {
        let bench = trial.bench()?;
        all_wrong(trial.driver(&bench)?.config_schema(), &job.config)?
    };
    let mut cases = vec![(wrong, fields)];
    for invalid in trial.subject().invalid_configs() {
        let mut both = invalid.config.clone();
        both[UNKNOWN] = json!(1);
        let mentions = invalid.mentions.iter().cloned().chain([UNKNOWN.to_owned()]).collect();
        cases.extend([(invalid.config, invalid.mentions), (both, mentions)]);
    }
    let before = trial.place().listing()?;
    for (config, mentions) in cases {
        let ready = trial.ready_for(Job { config: config.clone(), ..job.clone() }).await?;
        let problems = ready.bench.config_problems(trial.subject().component(), &config)?;
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for mention in &mentions {
            ensure!(
                all.iter().any(|problem| problem.contains(mention.as_str())),
                "no problem mentions `{mention}`: {all:?} for {config}"
            );
        }
        let failure = ready.fail("its configuration is not valid").await?;
        let error = &failure.error;
        ensure!(
            error.kind() == ErrorKind::Validation,
            "an invalid configuration is a {} error: {error:?}",
            error.kind()
        );
        ensure!(failure.attempts <= 1, "an invalid configuration was tried {} times", failure.attempts);
        for mention in &mentions {
            ensure!(error.report().contains(mention.as_str()), "the error does not mention `{mention}`: {error:?}");
        }
        let connected = ready.bench.last_event(event::CONNECTION_FAILED);
        ensure!(connected.is_null(), "a connection was tried with an invalid configuration");
        ensure!(ready.bench.store().table(STEP).await?.is_none(), "an invalid configuration left a table");
    }
    let changes = before.difference(&trial.place().listing()?);
    ensure!(changes.is_none(), "an invalid configuration changed files: {}", changes.unwrap_or_default());
    Ok(Verdict::Holds)
}

/// Every field of `config` with a value that its schema refuses, an unknown field besides; and the names of all of them.
fn all_wrong(schema: &ConfigSchema, config: &Value) -> Result<(Value, Vec<String>), Violation> {
    let mut wrong = json!({ UNKNOWN: 1 });
    let mut names = vec![UNKNOWN.to_owned()];
    for (name, _) in config.as_object().into_iter().flatten() {
        let Some(field) = schema.field_named(name) else { continue };
        let validator = validator_for(&schema.json()["properties"][field])
            .map_err(|error| Violation::new(format!("the schema of `{field}` is not valid: {error}")))?;
        let candidates = [json!({"wrong": {"wrong": []}}), json!([[[]]]), json!(-1.5), json!("")];
        if let Some(value) = candidates.into_iter().find(|value| !validator.is_valid(value)) {
            wrong[field] = value;
            names.push(field.to_owned());
        }
    }
    Ok((wrong, names))
}

/// DRV-031: no step can send a connection's secrets elsewhere unless the connection lists the field: what is called an address is
/// marked as one or not at all, and every mark has a meaning.
///
/// # Errors
/// What was seen instead.
pub async fn drv_031_keeps_a_connections_secrets_at_its_address<S: Subject>(trial: &Trial<S>) -> Outcome {
    let bench = trial.bench()?;
    let schema = trial.driver(&bench)?.connection_schema();
    let reference = "@family.alias".parse::<ConnectionRef>()?;
    for (field, json) in schema.fields() {
        if let Some(mark) = json["x-override"].as_str() {
            ensure!(OverridePolicy::is_mark(mark), "`x-override` of `{field}` is `{mark}`, which means nothing");
        }
        // What only narrows where the connection leads sends nothing elsewhere.
        let narrows = OverridePolicy::of(field, schema) == OverridePolicy::Narrowed;
        if narrows || (!schema.is_secret(field) && !OverridePolicy::is_called_an_address(field)) {
            continue;
        }
        let step = Map::from_iter([(field.to_owned(), json!("elsewhere"))]);
        let (_, problems) = connection::resolve(&reference, &Map::new(), &step, schema, &|_| None);
        ensure!(
            problems.iter().any(Problem::is_error),
            "any step may set `{field}` of its connection: mark it as `x-override: address`"
        );
    }
    Ok(Verdict::Holds)
}

/// DRV-006: every field is documented, an optional one with the value of its default, and the required ones suffice.
///
/// # Errors
/// What was seen instead.
pub async fn drv_006_documents_every_field_and_its_default<S: Subject>(trial: &Trial<S>) -> Outcome {
    let bench = trial.bench()?;
    let driver = trial.driver(&bench)?;
    let mut missing = Vec::new();
    for (kind, schema) in [("config", driver.config_schema()), ("connection", driver.connection_schema())] {
        let required = required(schema);
        for (field, json) in schema.fields() {
            let description = json["description"].as_str().unwrap_or_default();
            if description.is_empty() {
                missing.push(format!("{kind} field `{field}` has no doc comment"));
            } else if !required.contains(&field) && default_of(json).is_none() {
                missing.push(format!("{kind} field `{field}` does not say its default"));
            }
        }
    }
    ensure!(missing.is_empty(), "{}", missing.join("; "));
    let minimal = match trial.subject().minimal_config() {
        Some(config) => config,
        None => only_required(driver.config_schema(), &trial.job(3).await?.config),
    };
    let problems = bench.config_problems(trial.subject().component(), &minimal)?;
    let problems: Vec<String> = problems.iter().filter(|problem| problem.is_error()).map(ToString::to_string).collect();
    ensure!(problems.is_empty(), "the required fields do not suffice: {problems:?} for {minimal}");
    Ok(Verdict::Holds)
}

fn only_required(schema: &ConfigSchema, config: &Value) -> Value {
    let required = required(schema);
    let fields = config.as_object().into_iter().flatten();
    let kept = fields.filter(|(name, _)| schema.field_named(name).is_some_and(|field| required.contains(&field)));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn required(schema: &ConfigSchema) -> Vec<&str> {
    schema.json()["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn names_all<'a>(problems: &[Problem], names: impl IntoIterator<Item = &'a str>) -> bool {
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    names.into_iter().all(|name| all.iter().any(|problem| problem.contains(name)))
}

/// DRV-027: a component that has a client takes another one through `with_client`, and uses no other.
///
/// # Errors
/// What was seen instead.
pub async fn drv_027_takes_an_injected_client<S: Subject>(trial: &Trial<S>) -> Outcome {
    let job = trial.job(3).await?;
    let options = crate::BenchOptions::new();
    let mut has_client = true;
    let bench = crate::Bench::at(trial.place(), &options, |registry| {
        trial.subject().register_with_failing_client(registry).unwrap_or_else(|| {
            has_client = false;
            Ok(())
        })
    })?;
    if !has_client {
        return not_applicable("`Subject::register_with_failing_client` returns none");
    }
    let ready = crate::Ready::new(trial.subject().component(), bench, job).await?;
    ready.fail("its client can do nothing but fail").await?;
    Ok(Verdict::Holds)
}

/// CRT-006: a configuration whose SQL does more than read is refused at validation, and nothing is changed.
///
/// # Errors
/// What was seen instead.
pub async fn crt_006_accepts_reading_statements_only<S: Subject>(trial: &Trial<S>) -> Outcome {
    let configs = trial.subject().modifying_configs();
    if configs.is_empty() {
        return not_applicable("`Subject::modifying_configs` is empty");
    }
    let job = trial.job(3).await?;
    let before = trial.place().listing()?;
    for config in configs {
        let ready = trial.ready_for(Job { config: config.clone(), ..job.clone() }).await?;
        let problems = ready.bench.config_problems(trial.subject().component(), &config)?;
        let refused = problems.iter().any(Problem::is_error);
        ensure!(refused, "not refused at validation: {config}");
        let failure = ready.fail("its statement does more than read").await?;
        ensure!(failure.error.kind() == ErrorKind::Validation, "{config}: {:?}", failure.error);
    }
    let changes = before.difference(&trial.place().listing()?);
    ensure!(changes.is_none(), "files were changed: {}", changes.unwrap_or_default());
    let ready = trial.ready_for(job).await?;
    let output = ready.run().await?;
    ready.compare(&output).await?;
    Ok(Verdict::Holds)
}

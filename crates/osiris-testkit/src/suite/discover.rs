//! The rules of components that declare discovery.

use osiris_core::{Catalog, ResolvedConnection};
use serde_json::Value;

use crate::trial::{ensure, not_applicable};
use crate::{Bench, Outcome, Subject, Trial, Verdict, Violation};

/// The catalog of a prepared subject; nothing when it declares no discovery.
async fn catalog<S: Subject>(trial: &Trial<S>) -> Result<Option<(Bench, ResolvedConnection, Catalog)>, Violation> {
    let job = trial.job(5).await?;
    let bench = trial.bench()?;
    let driver = trial.driver(&bench)?;
    if !driver.family().has_discovery() {
        return Ok(None);
    }
    let connection = bench.connection(trial.subject().component(), &job.connection)?;
    let catalog = driver.family().discover(&connection, None).await?;
    Ok(Some((bench, connection, catalog)))
}

const NOT_DECLARED: &str = "it declares no discovery";

/// DRV-019: a component that declares discovery finds what is there.
///
/// # Errors
/// What was seen instead.
pub async fn drv_019_discovers_what_is_there<S: Subject>(trial: &Trial<S>) -> Outcome {
    let Some((_, _, catalog)) = catalog(trial).await? else { return not_applicable(NOT_DECLARED) };
    ensure!(!catalog.resources.is_empty(), "it finds nothing");
    for wanted in trial.subject().resources() {
        let found = catalog.resources.iter().any(|resource| resource.name == wanted);
        ensure!(found, "it does not find `{wanted}`");
    }
    Ok(Verdict::Holds)
}

/// DRV-020: a catalog fits the JSON Schema of its type.
///
/// # Errors
/// What was seen instead.
pub async fn drv_020_fits_the_schema_of_a_catalog<S: Subject>(trial: &Trial<S>) -> Outcome {
    let Some((_, _, catalog)) = catalog(trial).await? else { return not_applicable(NOT_DECLARED) };
    let broken = |error: &dyn std::fmt::Display| Violation::new(error.to_string());
    let value: Value = serde_json::to_value(&catalog).map_err(|error| broken(&error))?;
    let schema = schemars::schema_for!(Catalog).to_value();
    let validator = jsonschema::validator_for(&schema).map_err(|error| broken(&error))?;
    let violations: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    ensure!(violations.is_empty(), "{}", violations.join("; "));
    let hash = catalog.fingerprint.strip_prefix("sha256:").unwrap_or_default();
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_hash, "the fingerprint is `{}`", catalog.fingerprint);
    Ok(Verdict::Holds)
}

/// DRV-021: two catalogs of the same source differ in nothing but the time; resources and fields are sorted by name and
/// fields are numbered.
///
/// # Errors
/// What was seen instead.
pub async fn drv_021_discovers_the_same_in_the_same_order<S: Subject>(trial: &Trial<S>) -> Outcome {
    let Some((bench, connection, first)) = catalog(trial).await? else { return not_applicable(NOT_DECLARED) };
    let mut second = trial.driver(&bench)?.family().discover(&connection, None).await?;
    second.discovered_at = first.discovered_at;
    ensure!(first == second, "two catalogs of one source differ");
    ensure!(
        first.resources.is_sorted_by(|a, b| a.name < b.name),
        "resources are not sorted by name, or one is there twice"
    );
    for resource in &first.resources {
        let fields = &resource.fields;
        ensure!(
            fields.is_sorted_by(|a, b| a.name < b.name),
            "the fields of `{}` are not sorted by name",
            resource.name
        );
        let mut ordinals: Vec<u32> = fields.iter().map(|field| field.ordinal).collect();
        ordinals.sort_unstable();
        let numbered = ordinals.iter().zip(1..).all(|(ordinal, expected)| *ordinal == expected);
        ensure!(numbered, "the fields of `{}` are numbered {ordinals:?}", resource.name);
        let named = fields.iter().all(|field| !field.field_type.is_empty() && !field.native_type.is_empty());
        ensure!(named, "a field of `{}` has no type", resource.name);
    }
    Ok(Verdict::Holds)
}

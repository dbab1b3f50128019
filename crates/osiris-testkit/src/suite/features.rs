//! The rules about what a component says it can do.

use osiris_core::Feature;

use crate::trial::ensure;
use crate::{Destination, Mode, Outcome, Subject, Trial, Verdict, Violation};

/// DRV-032: what its spec says it can do is what it can: pages, a state, parallel reads, rows that pass without a table.
///
/// # Errors
/// What was seen instead.
pub async fn drv_032_says_what_it_can_do<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(3).await?;
    let driver = ready.driver()?;
    let says = |feature| driver.spec().features.contains(&feature);
    let schema = driver.config_schema();
    let has_page_size = schema.fields().any(|(field, _)| field.ends_with("page_size"));
    ensure!(!says(Feature::Pages) || has_page_size, "it says that it pages, but has no field for the size of a page");
    ensure!(
        says(Feature::Pages) || trial.subject().paging().is_none(),
        "it pages, but its spec lacks `Feature::Pages`"
    );
    let has_parts = schema.field_named("partitions").is_some();
    agree(Feature::ParallelReads, says(Feature::ParallelReads), has_parts, "the field `partitions`")?;
    let keeps_state = trial.subject().prepare_incremental(trial.place()).await?.is_some();
    agree(Feature::Incremental, says(Feature::Incremental), keeps_state, "a job of `Subject::prepare_incremental`")?;
    ensure!(says(Feature::Streams) || !ready.streams()?, "it streams, but its spec lacks `Feature::Streams`");
    Ok(Verdict::Holds)
}

/// DRV-032: the modes of its configuration are those that it supports.
///
/// # Errors
/// What was seen instead.
pub async fn drv_032_lists_its_modes<S: Destination>(trial: &Trial<S>) -> Outcome {
    let bench = trial.bench()?;
    let schema = trial.driver(&bench)?.config_schema();
    for mode in Mode::ALL {
        let (is_listed, is_supported) = (schema.allows("mode", mode.as_str()), trial.subject().modes().contains(&mode));
        ensure!(is_listed || !is_supported, "the schema of `mode` does not list `{}`", mode.as_str());
        ensure!(is_supported || !is_listed, "the schema of `mode` lists `{}`, which is not supported", mode.as_str());
    }
    Ok(Verdict::Holds)
}

fn agree(feature: Feature, says: bool, does: bool, evidence: &str) -> Result<(), Violation> {
    ensure!(!says || does, "its spec has `Feature::{feature:?}`, but it lacks {evidence}");
    ensure!(says || !does, "it has {evidence}, but its spec lacks `Feature::{feature:?}`");
    Ok(())
}

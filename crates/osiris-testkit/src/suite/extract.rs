//! The rules of extractors.

use osiris_core::{ConfigSchema, Inputs, event, metric};
use serde_json::json;

use super::defaults::number_of;
use crate::trial::{STEP, ensure, not_applicable};
use crate::{Job, Outcome, Ready, Subject, Trial, Verdict, Violation};

pub use super::cancel::crt_003_releases_everything_on_success_failure_and_cancellation;
pub use super::config::crt_006_accepts_reading_statements_only;
pub use super::direct::drv_024_hands_its_rows_straight_on_if_it_streams;
pub use super::run::{drv_024_leaves_its_table_in_the_run_store, drv_026_changes_nothing_in_a_dry_run};
pub use super::state::crt_008_uses_a_state_only_for_the_source_it_was_taken_from;

/// The rows of a page, unless the configuration says otherwise.
const PAGE: u64 = 1000;

/// DRV-012: a paged source is read to its last page, each row once, in at least as many pages as there must be.
///
/// # Errors
/// What was seen instead.
pub async fn drv_012_pages_until_every_row_is_read<S: Subject>(trial: &Trial<S>) -> Outcome {
    let Some(paging) = trial.subject().paging() else { return not_applicable("`Subject::paging` returns none") };
    let page = paging.smallest.max(10);
    let rows = page * 5 + 3;
    let job = trial.job(rows).await?;
    let mut config = job.config.clone();
    config[&paging.field] = json!(page);
    let ready = trial.ready_for(Job { config, ..job }).await?;
    let output = ready.run().await?;
    ready.compare(&output).await?;
    let events = ready.bench.events().matching("event", event::EXTRACTION_PAGE);
    let pages = logged_pages(&ready).max(events.len() as u64);
    ensure!(pages >= rows.div_ceil(page), "{rows} rows came in {pages} pages of {page}, or the pages are not logged");
    Ok(Verdict::Holds)
}

/// DRV-013: the page size is a field of the configuration; without it pages have 1000 rows.
///
/// # Errors
/// What was seen instead.
pub async fn drv_013_page_size_is_configurable_and_1000_by_default<S: Subject>(trial: &Trial<S>) -> Outcome {
    let Some(paging) = trial.subject().paging() else { return not_applicable("`Subject::paging` returns none") };
    let bench = trial.bench()?;
    let schema = trial.driver(&bench)?.config_schema();
    let Some(field) = schema.field_named(&paging.field) else {
        return Err(Violation::new(format!("there is no field `{}`", paging.field)));
    };
    let documented = number_of(&schema.json()["properties"][field]);
    ensure!(documented == Some(PAGE), "the documented default of `{}` is {documented:?}, not {PAGE}", paging.field);
    pages_by_default(trial, field, schema).await?;
    let smallest = paging.smallest;
    let job = trial.job(25 * smallest).await?;
    for size in [smallest, 7 * smallest, 25 * smallest, PAGE.max(smallest)] {
        let mut config = job.config.clone();
        config[&paging.field] = json!(size);
        let ready = trial.ready_for(Job { config, ..job.clone() }).await?;
        let output = ready.run().await?;
        ready.compare(&output).await?;
    }
    Ok(Verdict::Holds)
}

/// Without the field there are pages of [`PAGE`] rows.
async fn pages_by_default<S: Subject>(trial: &Trial<S>, field: &str, schema: &ConfigSchema) -> Result<(), Violation> {
    let rows = 2 * PAGE + PAGE / 2;
    let mut job = trial.job(rows).await?;
    if let Some(config) = job.config.as_object_mut() {
        config.retain(|name, _| schema.field_named(name) != Some(field));
    }
    let ready = trial.ready_for(job).await?;
    let output = ready.run().await?;
    ready.compare(&output).await?;
    let events = ready.bench.events().matching("event", event::EXTRACTION_PAGE);
    match events.iter().filter_map(|page| page["rows"].as_u64()).max() {
        Some(largest) => ensure!(largest == PAGE, "without `{field}` a page has {largest} rows, not {PAGE}"),
        None => {
            let pages = logged_pages(&ready);
            ensure!(pages == rows.div_ceil(PAGE), "without `{field}`, {rows} rows came in {pages} pages");
        }
    }
    Ok(())
}

/// How many pages the metric says there were.
fn logged_pages(ready: &Ready) -> u64 {
    let metrics = ready.bench.metrics().matching("metric", metric::PAGES_FETCHED);
    metrics.iter().filter_map(|line| line["value"].as_u64()).sum()
}

/// DRV-025: every value of the source arrives as it is, with the promised type.
///
/// # Errors
/// What was seen instead.
pub async fn drv_025_maps_types_exactly<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(1000).await?;
    let output = ready.run().await?;
    ready.compare(&output).await?;
    ensure!(output.counts.altered == 0, "{} values were altered without a policy", output.counts.altered);
    let typed = ready.job.expected.as_ref().is_some_and(crate::Rows::has_types);
    ensure!(typed, "the job promises no types: call `Rows::with_types` on what it expects");
    Ok(Verdict::Holds)
}

/// CRT-004: an extractor runs without an input.
///
/// # Errors
/// What was seen instead.
pub async fn crt_004_needs_no_input<S: Subject>(trial: &Trial<S>) -> Outcome {
    let ready = trial.ready(3).await?;
    ensure!(ready.job.inputs.is_empty(), "the job of an extractor has inputs");
    let output = ready.step(STEP).inputs(&Inputs::none()).run_unchecked().await?;
    ready.compare(&output).await?;
    Ok(Verdict::Holds)
}

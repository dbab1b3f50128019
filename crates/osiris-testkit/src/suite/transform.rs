//! The rules of processors.

pub use super::cancel::crt_003_releases_everything_on_success_failure_and_cancellation;
pub use super::inputs::{
    crt_002_leaves_its_inputs_as_they_were, crt_004_refuses_to_run_without_an_input,
    drv_007_finds_inputs_by_step_id_and_lists_those_present, drv_008_names_every_missing_column,
};
pub use super::run::{drv_024_leaves_its_table_in_the_run_store, drv_026_changes_nothing_in_a_dry_run};

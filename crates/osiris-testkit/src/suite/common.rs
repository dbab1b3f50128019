//! The rules of every component, whatever its role.

pub use super::config::{
    drv_004_uses_only_the_resolved_connection, drv_005_reports_every_config_problem_before_any_io,
    drv_006_documents_every_field_and_its_default, drv_027_takes_an_injected_client,
    drv_031_keeps_a_connections_secrets_at_its_address,
};
pub use super::errors::{
    crt_007_reports_a_connection_failure_as_event_and_category, drv_003_fails_loudly_and_names_the_step,
    drv_017_categorises_errors_and_retries_only_network_and_timeout, drv_018_says_what_to_do_and_leaks_no_secret,
};
pub use super::features::drv_032_says_what_it_can_do;
pub use super::http::{drv_015_slows_down_near_a_rate_limit, drv_016_waits_as_long_as_the_server_says};
pub use super::private::crt_010_leaves_only_private_files_in_its_run;
pub use super::progress::drv_014_reports_progress;
pub use super::resources::drv_029_streams_within_the_memory_limit;
pub use super::run::{
    crt_001_keeps_no_data_between_runs, drv_001_runs_with_step_id_config_inputs_and_context_alone,
    drv_002_returns_table_rows_and_state_by_role, drv_009_logs_its_row_metric_exactly_once,
    drv_010_logs_metrics_with_known_units_only, drv_011_prints_nothing,
};

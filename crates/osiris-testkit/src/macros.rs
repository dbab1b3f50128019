//! The macro that makes one test of every rule.

/// Makes a module of tests, one for every rule that a component of this role has to keep, named after the rule.
///
/// The first word is the role: `extract`, `transform` or `write`. The second is the name of the module, which hides a crate of the
/// same name in this file: for a crate `acme` write `acme_extractor`, not `acme`. The third is an
/// expression that makes a [`Subject`](crate::Subject), for a writer a [`Destination`](crate::Destination); each test makes
/// its own.
///
/// ```text
/// osiris_testkit::conformance_suite!(extract, csv_extractor, CsvFiles::default());
/// ```
#[macro_export]
macro_rules! conformance_suite {
    (extract, $module:ident, $subject:expr) => {
        $crate::__conformance_tests! {
            $module, $subject,
            common {
                drv_001_runs_with_step_id_config_inputs_and_context_alone,
                drv_002_returns_table_rows_and_state_by_role,
                drv_003_fails_loudly_and_names_the_step,
                drv_004_uses_only_the_resolved_connection,
                drv_005_reports_every_config_problem_before_any_io,
                drv_006_documents_every_field_and_its_default,
                drv_009_logs_its_row_metric_exactly_once,
                drv_010_logs_metrics_with_known_units_only,
                drv_011_prints_nothing,
                drv_014_reports_progress,
                drv_015_slows_down_near_a_rate_limit,
                drv_016_waits_as_long_as_the_server_says,
                drv_017_categorises_errors_and_retries_only_network_and_timeout,
                drv_018_says_what_to_do_and_leaks_no_secret,
                drv_027_takes_an_injected_client,
                drv_029_streams_within_the_memory_limit,
                drv_031_keeps_a_connections_secrets_at_its_address,
                drv_032_says_what_it_can_do,
                crt_001_keeps_no_data_between_runs,
                crt_007_reports_a_connection_failure_as_event_and_category,
                crt_010_leaves_only_private_files_in_its_run,
            }
            extract {
                drv_012_pages_until_every_row_is_read,
                drv_013_page_size_is_configurable_and_1000_by_default,
                drv_024_hands_its_rows_straight_on_if_it_streams,
                drv_024_leaves_its_table_in_the_run_store,
                drv_025_maps_types_exactly,
                drv_026_changes_nothing_in_a_dry_run,
                crt_003_releases_everything_on_success_failure_and_cancellation,
                crt_004_needs_no_input,
                crt_006_accepts_reading_statements_only,
                crt_008_uses_a_state_only_for_the_source_it_was_taken_from,
            }
            discover {
                drv_019_discovers_what_is_there,
                drv_020_fits_the_schema_of_a_catalog,
                drv_021_discovers_the_same_in_the_same_order,
            }
            doctor {
                drv_022_answers_within_the_limit,
                drv_023_never_fails_and_never_leaks,
            }
        }
    };
    (transform, $module:ident, $subject:expr) => {
        $crate::__conformance_tests! {
            $module, $subject,
            common {
                drv_001_runs_with_step_id_config_inputs_and_context_alone,
                drv_002_returns_table_rows_and_state_by_role,
                drv_003_fails_loudly_and_names_the_step,
                drv_004_uses_only_the_resolved_connection,
                drv_005_reports_every_config_problem_before_any_io,
                drv_006_documents_every_field_and_its_default,
                drv_009_logs_its_row_metric_exactly_once,
                drv_010_logs_metrics_with_known_units_only,
                drv_011_prints_nothing,
                drv_014_reports_progress,
                drv_017_categorises_errors_and_retries_only_network_and_timeout,
                drv_018_says_what_to_do_and_leaks_no_secret,
                drv_027_takes_an_injected_client,
                drv_029_streams_within_the_memory_limit,
                drv_031_keeps_a_connections_secrets_at_its_address,
                drv_032_says_what_it_can_do,
                crt_001_keeps_no_data_between_runs,
                crt_007_reports_a_connection_failure_as_event_and_category,
                crt_010_leaves_only_private_files_in_its_run,
            }
            transform {
                drv_007_finds_inputs_by_step_id_and_lists_those_present,
                drv_008_names_every_missing_column,
                drv_024_leaves_its_table_in_the_run_store,
                drv_026_changes_nothing_in_a_dry_run,
                crt_002_leaves_its_inputs_as_they_were,
                crt_003_releases_everything_on_success_failure_and_cancellation,
                crt_004_refuses_to_run_without_an_input,
            }
            discover {
                drv_019_discovers_what_is_there,
                drv_020_fits_the_schema_of_a_catalog,
                drv_021_discovers_the_same_in_the_same_order,
            }
            doctor {
                drv_022_answers_within_the_limit,
                drv_023_never_fails_and_never_leaks,
            }
        }
    };
    (write, $module:ident, $subject:expr) => {
        $crate::__conformance_tests! {
            $module, $subject,
            common {
                drv_001_runs_with_step_id_config_inputs_and_context_alone,
                drv_002_returns_table_rows_and_state_by_role,
                drv_003_fails_loudly_and_names_the_step,
                drv_004_uses_only_the_resolved_connection,
                drv_005_reports_every_config_problem_before_any_io,
                drv_006_documents_every_field_and_its_default,
                drv_009_logs_its_row_metric_exactly_once,
                drv_010_logs_metrics_with_known_units_only,
                drv_011_prints_nothing,
                drv_014_reports_progress,
                drv_015_slows_down_near_a_rate_limit,
                drv_016_waits_as_long_as_the_server_says,
                drv_017_categorises_errors_and_retries_only_network_and_timeout,
                drv_018_says_what_to_do_and_leaks_no_secret,
                drv_027_takes_an_injected_client,
                drv_029_streams_within_the_memory_limit,
                drv_031_keeps_a_connections_secrets_at_its_address,
                drv_032_says_what_it_can_do,
                crt_001_keeps_no_data_between_runs,
                crt_007_reports_a_connection_failure_as_event_and_category,
                crt_010_leaves_only_private_files_in_its_run,
            }
            write {
                drv_007_finds_inputs_by_step_id_and_lists_those_present,
                drv_008_names_every_missing_column,
                drv_024_takes_arriving_rows_if_it_streams,
                drv_024_writes_every_row_of_its_input,
                drv_026_writes_nothing_in_a_dry_run,
                drv_028_writes_in_batches,
                drv_030_states_its_destination,
                drv_032_lists_its_modes,
                crt_002_leaves_its_inputs_as_they_were,
                crt_003_releases_everything_on_success_failure_and_cancellation,
                crt_004_refuses_to_run_without_an_input,
                crt_005_supports_each_mode_or_refuses_it_by_name,
                crt_005_leaves_the_old_rows_or_the_new,
                crt_005_keeps_the_old_file_when_the_disk_is_full,
                crt_009_is_neither_dropped_nor_repeated_once_it_commits,
            }
            discover {
                drv_019_discovers_what_is_there,
                drv_020_fits_the_schema_of_a_catalog,
                drv_021_discovers_the_same_in_the_same_order,
            }
            doctor {
                drv_022_answers_within_the_limit,
                drv_023_never_fails_and_never_leaks,
            }
        }
    };
}

/// The tests of [`conformance_suite!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($module:ident, $subject:expr, $($suite:ident { $($rule:ident,)+ })+) => {
        mod $module {
            #[allow(unused_imports, reason = "the expression may name things of the file around it")]
            use super::*;

            $($(
                #[test]
                fn $rule() {
                    $crate::conduct(
                        $subject,
                        stringify!($rule),
                        concat!(module_path!(), "::", stringify!($rule)),
                        async |trial: &_| $crate::suite::$suite::$rule(trial).await,
                    );
                }
            )+)+
        }
    };
}

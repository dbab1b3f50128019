//! A suite that cannot fail proves nothing: every flaw is caught by the rule that it breaks, with a message that says what.

use osiris_testkit::{Outcome, Subject, Trial, judge, suite};

use crate::lines::Flaw;
use crate::subjects::{Copier, Extractor, Writer};

fn caught<S: Subject>(subject: S, test: &str, says: &str, check: impl AsyncFnOnce(&Trial<S>) -> Outcome) {
    match judge(subject, test, check) {
        Err(violation) => assert!(violation.to_string().contains(says), "expected `{says}`: {violation}"),
        Ok(verdict) => panic!("not caught: {verdict:?}"),
    }
}

macro_rules! flaws {
    ($($test:ident: $subject:ident, $flaw:ident, $suite:ident::$rule:ident, $says:expr;)+) => {$(
        #[test]
        fn $test() {
            let test = concat!(module_path!(), "::", stringify!($test));
            caught($subject::with(Flaw::$flaw), test, $says, async |trial: &_| suite::$suite::$rule(trial).await);
        }
    )+};
}

flaws! {
    odd_step_ids_are_refused: Extractor, RefusesOddSteps,
        common::drv_001_runs_with_step_id_config_inputs_and_context_alone, "an odd step id";
    a_row_is_lost: Extractor, LosesARow,
        common::drv_002_returns_table_rows_and_state_by_role, "6 rows, expected 7";
    an_error_is_swallowed: Extractor, SwallowsErrors,
        common::drv_003_fails_loudly_and_names_the_step, "it ended well although a bad line";
    the_environment_is_read: Extractor, ReadsTheEnvironment,
        common::drv_004_uses_only_the_resolved_connection, "the directory of the environment";
    only_the_first_problem_is_reported: Extractor, ReportsOneProblem,
        common::drv_005_reports_every_config_problem_before_any_io, "no problem mentions `only SELECT`";
    any_input_will_do: Copier, TakesAnyInput,
        transform::drv_007_finds_inputs_by_step_id_and_lists_those_present, "it ran without the input";
    one_missing_column_is_named: Writer, NamesOneMissingColumn,
        write::drv_008_names_every_missing_column, "`absent_two` is not named";
    a_metric_is_logged_twice: Extractor, LogsItsMetricTwice,
        common::drv_009_logs_its_row_metric_exactly_once, "logged 2 times";
    a_metric_has_an_odd_name: Extractor, LogsOddMetrics,
        common::drv_010_logs_metrics_with_known_units_only, "Pages!";
    something_is_printed: Extractor, Prints,
        common::drv_011_prints_nothing, "it prints to the standard error: reading source";
    the_last_page_loses_a_row: Extractor, LosesARow,
        extract::drv_012_pages_until_every_row_is_read, "expected 53 rows, found 52";
    a_kind_is_mistaken: Extractor, MistakesKinds,
        common::drv_017_categorises_errors_and_retries_only_network_and_timeout, "expected a validation error";
    an_error_has_no_hint: Extractor, HasNoHint,
        common::drv_018_says_what_to_do_and_leaks_no_secret, "the error has no hint";
    an_error_holds_a_secret: Extractor, LeaksASecret,
        common::drv_018_says_what_to_do_and_leaks_no_secret, "is in";
    discovery_finds_nothing: Extractor, FindsNothing,
        discover::drv_019_discovers_what_is_there, "it finds nothing";
    a_catalog_has_no_fingerprint: Extractor, SortsNothing,
        discover::drv_020_fits_the_schema_of_a_catalog, "the fingerprint is ``";
    a_catalog_is_not_sorted: Extractor, SortsNothing,
        discover::drv_021_discovers_the_same_in_the_same_order, "not sorted by name";
    fields_have_one_number: Extractor, ForgetsFields,
        discover::drv_021_discovers_the_same_in_the_same_order, "are numbered [1, 1";
    a_doctor_says_that_all_is_well: Extractor, AnswersForBrokenConnections,
        doctor::drv_022_answers_within_the_limit, "no server";
    a_doctor_tells_the_password: Extractor, LeaksASecret,
        doctor::drv_023_never_fails_and_never_leaks, "is in";
    a_writer_loses_a_row: Writer, LosesARow,
        write::drv_024_writes_every_row_of_its_input, "expected 1000 rows, found 999";
    a_row_is_lost_on_its_way_to_the_next_step: Extractor, LosesARow,
        extract::drv_024_hands_its_rows_straight_on_if_it_streams, "expected 2999 rows, found 2998";
    rows_that_broke_off_stay: Writer, WritesInPlace,
        write::drv_024_takes_arriving_rows_if_it_streams, "after rows that broke off";
    a_number_becomes_a_text: Extractor, TurnsNumbersIntoText,
        extract::drv_025_maps_types_exactly, "expected the types";
    a_dry_run_reads_everything: Extractor, ReadsAllInADryRun,
        extract::drv_026_changes_nothing_in_a_dry_run, "read 300 rows, at most 100";
    a_dry_run_writes: Writer, WritesInADryRun,
        write::drv_026_writes_nothing_in_a_dry_run, "`target` is new";
    the_client_given_is_ignored: Extractor, IgnoresItsClient,
        common::drv_027_takes_an_injected_client, "it ended well although its client";
    rows_are_written_one_by_one: Writer, WritesRowByRow,
        write::drv_028_writes_in_batches, "10000 rows took 1";
    a_table_is_held_in_memory: Extractor, HoldsTheTable,
        common::drv_029_streams_within_the_memory_limit, "the process grew by";
    old_rows_come_again: Extractor, KeepsOldRows,
        common::crt_001_keeps_no_data_between_runs, "a later run has 9 rows, expected 4";
    every_table_is_one_destination: Writer, StatesOneDestination,
        write::drv_030_states_its_destination, "two destinations are stated to be the same";
    an_overwrite_is_not_told: Writer, ForgetsItsMode,
        write::drv_030_states_its_destination, "overwrite: it states that it keeps what is there";
    an_input_is_changed: Writer, ChangesItsInput,
        write::crt_002_leaves_its_inputs_as_they_were, "has changed the table of step";
    files_are_left: Extractor, LeavesFiles,
        extract::crt_003_releases_everything_on_success_failure_and_cancellation, "files are left";
    append_overwrites: Writer, AcceptsOneModeForAnother,
        write::crt_005_supports_each_mode_or_refuses_it_by_name, "append: expected 120 rows, found 60";
    a_failure_leaves_half_a_file: Writer, WritesInPlace,
        write::crt_005_leaves_the_old_rows_or_the_new, "a bad value";
    a_full_disk_destroys_the_old_file: Writer, WritesInPlace,
        write::crt_005_keeps_the_old_file_when_the_disk_is_full, "";
    a_state_of_another_source_is_used: Extractor, ForgetsPartOfItsSource,
        extract::crt_008_uses_a_state_only_for_the_source_it_was_taken_from, "used for another source: another file";
    a_state_with_an_unknown_field_is_a_fresh_start: Extractor, IgnoresDamagedStates,
        extract::crt_008_uses_a_state_only_for_the_source_it_was_taken_from, "a field that it does not read is accepted";
    a_commit_is_not_announced: Writer, AnnouncesNothing,
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "without `begin_commit`";
    a_commit_is_announced_too_late: Writer, AnnouncesTooLate,
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "as it is announced";
    a_write_that_is_stopped_denies_what_it_did: Writer, DeniesItsCommit,
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "says that nothing was written";
    a_commit_is_dropped_before_its_outcome_is_known: Writer, DropsItsCommit,
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "nobody knows what it did";
    a_commit_is_made_twice: Writer, CommitsTwice,
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "the destination does not hold its rows";
    a_file_of_the_run_can_be_read_by_others: Extractor, LeavesOpenFiles,
        common::crt_010_leaves_only_private_files_in_its_run, "notes.txt has the mode 666";
    a_directory_of_the_run_can_be_read_by_others: Extractor, LeavesOpenDirectories,
        common::crt_010_leaves_only_private_files_in_its_run, "notes has the mode 777";
    a_connection_failure_is_hidden: Extractor, HidesConnectionFailures,
        common::crt_007_reports_a_connection_failure_as_event_and_category, "no `connection_failed` event";
}

/// An extractor whose connection lets any step send its password to another host.
struct Redirectable;

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct RedirectableConnection {
    /// The server. Default: none.
    #[schemars(extend("x-override" = "allowed"))]
    pg_host: Option<String>,
    /// The password. Default: none.
    password: Option<osiris_core::Secret>,
}

impl osiris_core::Component for Redirectable {
    const SPEC: osiris_core::ComponentSpec =
        osiris_core::ComponentSpec::new("redirectable.extractor", "1", osiris_core::Role::Extract, "Flawed")
            .with_connection(osiris_core::ConnectionUse::Required);
    type Connection = RedirectableConnection;
    type Config = osiris_core::NoConnection;
}

#[osiris_testkit::async_trait]
impl osiris_core::Extract for Redirectable {
    async fn extract(
        &self,
        _: &osiris_core::Step<'_, Self>,
        _: &osiris_core::TableSink,
        _: &osiris_core::ExecutionContext,
    ) -> osiris_core::Result<osiris_core::Extracted> {
        Ok(osiris_core::Extracted::rows(0))
    }
}

#[osiris_testkit::async_trait]
impl Subject for Redirectable {
    fn component(&self) -> &'static str {
        "redirectable.extractor"
    }

    fn register(&self, registry: &mut osiris_core::Registry) -> osiris_core::Result<()> {
        registry.extractor(Self).add()
    }

    async fn prepare(&self, _: &osiris_testkit::Place, _: u64) -> osiris_core::Result<osiris_testkit::Job> {
        Ok(osiris_testkit::Job::new(serde_json::json!({})))
    }

    async fn faults(&self, _: &osiris_testkit::Place) -> osiris_core::Result<Vec<osiris_testkit::Fault>> {
        Ok(Vec::new())
    }
}

#[test]
fn any_step_may_send_the_password_elsewhere() {
    let test = concat!(module_path!(), "::any_step_may_send_the_password_elsewhere");
    caught(Redirectable, test, "any step may set `pg_host`", async |trial: &_| {
        suite::common::drv_031_keeps_a_connections_secrets_at_its_address(trial).await
    });
}

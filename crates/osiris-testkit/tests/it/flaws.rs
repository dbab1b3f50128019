//! A suite that cannot fail proves nothing: every flaw is caught by the rule that it breaks, with a message that says what.

use std::collections::BTreeSet;

use osiris_testkit::{Outcome, Subject, Trial, judge, suite};

use crate::careless::{Careless, Inventor};
use crate::lines::Flaw;
use crate::subjects::{Copier, Extractor, Writer};

fn caught<S: Subject>(subject: S, test: &str, says: &str, check: impl AsyncFnOnce(&Trial<S>) -> Outcome) {
    match judge(subject, test, check) {
        Err(violation) => assert!(violation.to_string().contains(says), "expected `{says}`: {violation}"),
        Ok(verdict) => panic!("not caught: {verdict:?}"),
    }
}

macro_rules! flaws {
    ($($test:ident: $subject:expr, $suite:ident::$rule:ident, $says:expr;)+) => {
        /// The rules that a flaw breaks.
        const BROKEN: &[&str] = &[$(stringify!($rule)),+];

        $(#[test]
        fn $test() {
            let test = concat!(module_path!(), "::", stringify!($test));
            caught($subject, test, $says, async |trial: &_| suite::$suite::$rule(trial).await);
        })+
    };
}

#[test]
fn every_rule_has_a_flaw_that_its_test_catches() {
    let is_rule = |word: &&str| word.starts_with("drv_") || word.starts_with("crt_");
    let words = include_str!("../../src/macros.rs").split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let rules: BTreeSet<&str> = words.filter(is_rule).collect();
    assert!(rules.len() > 40, "the rules are no longer listed there: {rules:?}");
    let unbroken: Vec<_> = rules.iter().filter(|rule| !BROKEN.contains(rule)).collect();
    assert!(unbroken.is_empty(), "no flaw breaks {unbroken:?}");
}

flaws! {
    odd_step_ids_are_refused: Extractor::with(Flaw::RefusesOddSteps),
        common::drv_001_runs_with_step_id_config_inputs_and_context_alone, "an odd step id";
    a_row_is_lost: Extractor::with(Flaw::LosesARow),
        common::drv_002_returns_table_rows_and_state_by_role, "6 rows, expected 7";
    an_error_is_swallowed: Extractor::with(Flaw::SwallowsErrors),
        common::drv_003_fails_loudly_and_names_the_step, "it ended well although a bad line";
    the_environment_is_read: Extractor::with(Flaw::ReadsTheEnvironment),
        common::drv_004_uses_only_the_resolved_connection, "the directory of the environment";
    only_the_first_problem_is_reported: Extractor::with(Flaw::ReportsOneProblem),
        common::drv_005_reports_every_config_problem_before_any_io, "no problem mentions `only SELECT`";
    any_input_will_do: Copier::with(Flaw::TakesAnyInput),
        transform::drv_007_finds_inputs_by_step_id_and_lists_those_present, "it ran without the input";
    one_missing_column_is_named: Writer::with(Flaw::NamesOneMissingColumn),
        write::drv_008_names_every_missing_column, "`absent_two` is not named";
    a_metric_is_logged_twice: Extractor::with(Flaw::LogsItsMetricTwice),
        common::drv_009_logs_its_row_metric_exactly_once, "logged 2 times";
    a_metric_has_an_odd_name: Extractor::with(Flaw::LogsOddMetrics),
        common::drv_010_logs_metrics_with_known_units_only, "Pages!";
    something_is_printed: Extractor::with(Flaw::Prints),
        common::drv_011_prints_nothing, "it prints to the standard error: reading source";
    the_last_page_loses_a_row: Extractor::with(Flaw::LosesARow),
        extract::drv_012_pages_until_every_row_is_read, "expected 53 rows, found 52";
    a_kind_is_mistaken: Extractor::with(Flaw::MistakesKinds),
        common::drv_017_categorises_errors_and_retries_only_network_and_timeout, "expected a validation error";
    an_error_has_no_hint: Extractor::with(Flaw::HasNoHint),
        common::drv_018_says_what_to_do_and_leaks_no_secret, "the error has no hint";
    an_error_holds_a_secret: Extractor::with(Flaw::LeaksASecret),
        common::drv_018_says_what_to_do_and_leaks_no_secret, "is in";
    discovery_finds_nothing: Extractor::with(Flaw::FindsNothing),
        discover::drv_019_discovers_what_is_there, "it finds nothing";
    a_catalog_has_no_fingerprint: Extractor::with(Flaw::SortsNothing),
        discover::drv_020_fits_the_schema_of_a_catalog, "the fingerprint is ``";
    a_catalog_is_not_sorted: Extractor::with(Flaw::SortsNothing),
        discover::drv_021_discovers_the_same_in_the_same_order, "not sorted by name";
    fields_have_one_number: Extractor::with(Flaw::ForgetsFields),
        discover::drv_021_discovers_the_same_in_the_same_order, "are numbered [1, 1";
    a_doctor_says_that_all_is_well: Extractor::with(Flaw::AnswersForBrokenConnections),
        doctor::drv_022_answers_within_the_limit, "no server";
    a_doctor_tells_the_password: Extractor::with(Flaw::LeaksASecret),
        doctor::drv_023_never_fails_and_never_leaks, "is in";
    a_writer_loses_a_row: Writer::with(Flaw::LosesARow),
        write::drv_024_writes_every_row_of_its_input, "expected 1000 rows, found 999";
    a_row_is_lost_on_its_way_to_the_next_step: Extractor::with(Flaw::LosesARow),
        extract::drv_024_hands_its_rows_straight_on_if_it_streams, "expected 2999 rows, found 2998";
    rows_that_broke_off_stay: Writer::with(Flaw::WritesInPlace),
        write::drv_024_takes_arriving_rows_if_it_streams, "after rows that broke off";
    a_number_becomes_a_text: Extractor::with(Flaw::TurnsNumbersIntoText),
        extract::drv_025_maps_types_exactly, "expected the types";
    a_dry_run_reads_everything: Extractor::with(Flaw::ReadsAllInADryRun),
        extract::drv_026_changes_nothing_in_a_dry_run, "read 300 rows, at most 100";
    a_dry_run_writes: Writer::with(Flaw::WritesInADryRun),
        write::drv_026_writes_nothing_in_a_dry_run, "`target` is new";
    the_client_given_is_ignored: Extractor::with(Flaw::IgnoresItsClient),
        common::drv_027_takes_an_injected_client, "it ended well although its client";
    few_rows_are_written_at_a_time: Writer::with(Flaw::WritesFewRowsAtATime),
        write::drv_028_writes_in_batches, "write calls, at most";
    a_table_is_held_in_memory: Extractor::with(Flaw::HoldsTheTable),
        common::drv_029_streams_within_the_memory_limit, "the process grew by";
    old_rows_come_again: Extractor::with(Flaw::KeepsOldRows),
        common::crt_001_keeps_no_data_between_runs, "a later run has 9 rows, expected 4";
    every_table_is_one_destination: Writer::with(Flaw::StatesOneDestination),
        write::drv_030_states_its_destination, "two destinations are stated to be the same";
    an_overwrite_is_not_told: Writer::with(Flaw::ForgetsItsMode),
        write::drv_030_states_its_destination, "overwrite: it states that it keeps what is there";
    an_input_is_changed: Writer::with(Flaw::ChangesItsInput),
        write::crt_002_leaves_its_inputs_as_they_were, "has changed the table of step";
    files_are_left: Extractor::with(Flaw::LeavesFiles),
        extract::crt_003_releases_everything_on_success_failure_and_cancellation, "files are left";
    append_overwrites: Writer::with(Flaw::AcceptsOneModeForAnother),
        write::crt_005_supports_each_mode_or_refuses_it_by_name, "append: expected 120 rows, found 60";
    a_failure_leaves_half_a_file: Writer::with(Flaw::WritesInPlace),
        write::crt_005_leaves_the_old_rows_or_the_new, "a bad value";
    a_full_disk_destroys_the_old_file: Writer::with(Flaw::WritesInPlace),
        write::crt_005_keeps_the_old_file_when_the_disk_is_full, "after a full disk: ";
    a_state_of_another_source_is_used: Extractor::with(Flaw::ForgetsPartOfItsSource),
        extract::crt_008_uses_a_state_only_for_the_source_it_was_taken_from, "used for another source: another file";
    a_state_with_an_unknown_field_is_a_fresh_start: Extractor::with(Flaw::IgnoresDamagedStates),
        extract::crt_008_uses_a_state_only_for_the_source_it_was_taken_from, "a field that it does not read is accepted";
    a_commit_is_not_announced: Writer::with(Flaw::AnnouncesNothing),
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "without `begin_commit`";
    a_commit_is_announced_too_late: Writer::with(Flaw::AnnouncesTooLate),
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "as it is announced";
    a_write_that_is_stopped_denies_what_it_did: Writer::with(Flaw::DeniesItsCommit),
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "says that nothing was written";
    a_commit_is_dropped_before_its_outcome_is_known: Writer::with(Flaw::DropsItsCommit),
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "nobody knows what it did";
    a_commit_is_made_twice: Writer::with(Flaw::CommitsTwice),
        write::crt_009_is_neither_dropped_nor_repeated_once_it_commits, "the destination does not hold its rows";
    a_file_of_the_run_can_be_read_by_others: Extractor::with(Flaw::LeavesOpenFiles),
        common::crt_010_leaves_only_private_files_in_its_run, "notes.txt has the mode 666";
    a_directory_of_the_run_can_be_read_by_others: Extractor::with(Flaw::LeavesOpenDirectories),
        common::crt_010_leaves_only_private_files_in_its_run, "notes has the mode 777";
    a_connection_failure_is_hidden: Extractor::with(Flaw::HidesConnectionFailures),
        common::crt_007_reports_a_connection_failure_as_event_and_category, "no `connection_failed` event";
    a_connection_fails_in_one_way_only: Extractor::with(Flaw::ShowsOneConnectionFault),
        common::crt_007_reports_a_connection_failure_as_event_and_category, "needs one `of_connection` of the kind auth";
    a_doctor_knows_no_category: Extractor::with(Flaw::CallsEveryFaultUnknown),
        doctor::drv_022_answers_within_the_limit, "no server: expected the category Network";
    a_default_is_not_documented: Careless,
        common::drv_006_documents_every_field_and_its_default, "config field `rows` does not say its default";
    pages_are_larger_than_documented: Extractor::with(Flaw::ReadsLargePages),
        extract::drv_013_page_size_is_configurable_and_1000_by_default, "a page has 2500 rows, not 1000";
    rows_are_counted_at_the_end: Writer::with(Flaw::CountsAtItsEnd),
        common::drv_014_reports_progress, "went from nothing to 200000 rows";
    a_limit_is_run_into: Extractor::with(Flaw::HurriesNearALimit),
        common::drv_015_slows_down_near_a_rate_limit, "1 requests came too early";
    the_servers_wait_is_ignored: Extractor::with(Flaw::ForgetsHowLongToWait),
        common::drv_016_waits_as_long_as_the_server_says, "requests came before the 3s were over";
    a_state_is_promised: Careless,
        common::drv_032_says_what_it_can_do, "it lacks a job of `Subject::prepare_incremental`";
    a_mode_is_not_listed: Writer::with(Flaw::ListsTooFewModes),
        write::drv_032_lists_its_modes, "does not list `upsert`";
    any_step_may_send_the_password_elsewhere: Careless,
        common::drv_031_keeps_a_connections_secrets_at_its_address, "any step may set `pg_host`";
    a_table_lacks_a_row: Extractor::with(Flaw::LosesARow),
        extract::drv_024_leaves_its_table_in_the_run_store, "expected 50 rows, found 49";
    an_extractor_has_an_input: Extractor::with(Flaw::NeedsAnInput),
        extract::crt_004_needs_no_input, "the job of an extractor has inputs";
    a_processor_makes_rows_of_nothing: Inventor,
        transform::crt_004_refuses_to_run_without_an_input, "it ran without an input";
    a_statement_that_changes_rows_is_accepted: Extractor::with(Flaw::AcceptsAnyStatement),
        extract::crt_006_accepts_reading_statements_only, "not refused at validation";
}

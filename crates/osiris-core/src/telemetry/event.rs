//! The names of the events, with the fields that each has besides `ts`, `session` and `event`.

/// A run begins.
pub const RUN_START: &str = "run_start";
/// A run succeeded.
pub const RUN_COMPLETE: &str = "run_complete";
/// A run failed.
pub const RUN_FAILED: &str = "run_failed";
/// `{step_id, driver}`
pub const STEP_START: &str = "step_start";
/// `{step_id, rows_processed, duration_ms}`
pub const STEP_COMPLETE: &str = "step_complete";
/// `{step_id, error, error_type, category}`
pub const STEP_FAILED: &str = "step_failed";
/// `{step_id, attempt, max_attempts, delay_ms, category, error}`
pub const STEP_RETRY_ATTEMPT: &str = "step_retry_attempt";
/// A writer is about to change its destination permanently: `{step_id, destination, repeatable}`
pub const COMMIT_BEGIN: &str = "commit_begin";
/// The outcome of a commit is known: `{step_id, outcome}`
pub const COMMIT_END: &str = "commit_end";
/// The destination was queried for the outcome of a commit: `{step_id, destination, outcome}`
pub const COMMIT_ASKED: &str = "commit_asked";
/// A step of a resumed run that had already succeeded: `{step_id, rows}`
pub const STEP_REUSED: &str = "step_reused";
/// A step of a resumed run was ambiguous, and the user has found its rows in the destination: `{step_id, user}`
pub const STEP_CONFIRMED: &str = "step_confirmed";
/// The connection of a step is resolved; it is not open yet: `{step_id, family, alias}`
pub const CONNECTION_RESOLVED: &str = "connection_resolved";
/// The connection itself failed, rather than a request over it: `{step_id, category, error}`
pub const CONNECTION_FAILED: &str = "connection_failed";
/// `{step_id, from_step, key, rows}`
pub const INPUTS_RESOLVED: &str = "inputs_resolved";
/// `{step_id, artifact_type, path}`
pub const ARTIFACT_CREATED: &str = "artifact_created";
/// One page of an API: `{step_id, page, rows}`
pub const EXTRACTION_PAGE: &str = "extraction.page";
/// `{step_id, table}`
pub const TABLE_DDL_PLANNED: &str = "table.ddl_planned";
/// `{step_id, table}`
pub const DDL_ATTEMPT: &str = "ddl_attempt";
/// `{step_id, table}`
pub const DDL_SUCCEEDED: &str = "ddl_succeeded";
/// `{step_id, table, error}`
pub const DDL_FAILED: &str = "ddl_failed";
/// An assertion did not hold: `{step_id, assertion, severity, rows}`
pub const ASSERTION_FAILED: &str = "assertion_failed";
/// `{total_rows, duration_ms}`
pub const CLEANUP_COMPLETE: &str = "cleanup_complete";

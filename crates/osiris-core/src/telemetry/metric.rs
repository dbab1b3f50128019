//! The names of the metrics.

/// Rows an extractor read. Required.
pub const ROWS_READ: &str = "rows_read";
/// Rows a transformation made. Required.
pub const ROWS_PROCESSED: &str = "rows_processed";
/// Rows a destination acknowledged: inserted, updated, unchanged and ignored ones. Required.
pub const ROWS_WRITTEN: &str = "rows_written";
/// Rows that were new in the destination.
pub const ROWS_INSERTED: &str = "rows_inserted";
/// Rows that replaced existing ones.
pub const ROWS_UPDATED: &str = "rows_updated";
/// Rows that existed already and were equal.
pub const ROWS_UNCHANGED: &str = "rows_unchanged";
/// Rows that were ignored since their key existed, or occurred again in the input.
pub const ROWS_IGNORED: &str = "rows_ignored";
/// Rows of the destination that were deleted.
pub const ROWS_DELETED: &str = "rows_deleted";
/// Time of an extraction or transformation: of the attempt that succeeded.
pub const QUERY_DURATION_MS: &str = "query_duration_ms";
/// Time of a write: of the attempt that succeeded.
pub const WRITE_DURATION_MS: &str = "write_duration_ms";
/// How often a step was tried, where it was tried again.
pub const ATTEMPTS: &str = "attempts";
/// How long a step waited between its attempts.
pub const RETRY_WAIT_MS: &str = "retry_wait_ms";
/// Bytes that came from the source.
pub const BYTES_READ: &str = "bytes_read";
/// Bytes that went to the destination.
pub const BYTES_WRITTEN: &str = "bytes_written";
/// Files a writer made.
pub const FILES_WRITTEN: &str = "files_written";
/// Pages of a paged source.
pub const PAGES_FETCHED: &str = "pages_fetched";
/// Requests to an API.
pub const REQUESTS_MADE: &str = "requests_made";
/// Rows left out because they were read before.
pub const ROWS_DEDUPLICATED: &str = "rows_deduplicated";
/// Rows rejected.
pub const ROWS_REJECTED: &str = "rows_rejected";
/// Values changed as a policy allows.
pub const VALUES_ALTERED: &str = "values_altered";
/// Rows that were not read since they have no cursor, as a policy allows.
pub const ROWS_WITHOUT_CURSOR: &str = "rows_without_cursor";
/// The largest resident size of the process.
pub const PEAK_MEMORY_BYTES: &str = "peak_memory_bytes";

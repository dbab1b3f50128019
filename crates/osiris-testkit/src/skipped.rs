//! Services that this run of the tests does without. `cargo xtask test-drivers` names them.

/// Lists the services whose tests are left out, separated by commas.
const SKIPPED: &str = "OSIRIS_TEST_SKIPPED_SERVICES";

/// Whether tests that need this service are left out.
pub(crate) fn is_skipped(service: &str) -> bool {
    let skipped = std::env::var_os(SKIPPED).unwrap_or_default();
    skipped.to_str().is_some_and(|names| names.split(',').any(|name| name.trim() == service))
}

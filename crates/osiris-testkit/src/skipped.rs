//! Services, and parts of them, that this run of the tests does without. `cargo xtask test-drivers` names them, and counts the tests that were left out.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Once;

/// Lists the services whose tests are left out, separated by commas.
const SKIPPED: &str = "OSIRIS_TEST_SKIPPED_SERVICES";
/// The file that gets a line from each process that leaves tests out. Each test is a process of its own.
const LOG: &str = "OSIRIS_TEST_SKIPPED_LOG";

/// Whether tests that need this service are left out.
pub(crate) fn is_skipped(service: &str) -> bool {
    let skipped = std::env::var_os(SKIPPED).unwrap_or_default();
    let is_skipped = skipped.to_str().is_some_and(|names| names.split(',').any(|name| name.trim() == service));
    if is_skipped {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| log(service));
    }
    is_skipped
}

/// Says that a test is left out because the server lacks something, and counts it.
#[expect(clippy::print_stdout, reason = "a test that is left out must be seen")]
#[cfg(feature = "services")]
pub(crate) fn leave_out(what: &str) {
    println!("SKIPPED: this test needs {what}");
    log(what);
}

/// A log that cannot be written makes the count wrong and no test.
fn log(service: &str) {
    let Some(path) = std::env::var_os(LOG) else { return };
    let Ok(mut file) = OpenOptions::new().append(true).open(path) else { return };
    let _ = file.write_all(format!("{service}\n").as_bytes());
}

//! What a bug looks like to the user: one line that says so, no backtrace unless they ask for one.

use std::io::Write;
use std::panic::PanicHookInfo;

use osiris::core::visible_line;

use crate::logging;

/// The exit code of a bug.
pub(crate) const EXIT_CODE: u8 = 1;

/// Puts the one line in the place of Rust's own report.
pub(crate) fn install() {
    let verbose = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let line = report(info);
        let _ = writeln!(std::io::stderr(), "{}", visible_line(&logging::known_secrets().scrub(&line)));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            // Rust's own report has the message as it is: without secrets only the trace is left.
            if logging::known_secrets().scrub(info.payload_as_str().unwrap_or_default()).contains(osiris::core::MASK) {
                let _ = writeln!(std::io::stderr(), "{}", std::backtrace::Backtrace::force_capture());
            } else {
                verbose(info);
            }
        }
    }));
}

fn report(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
    format!(
        "error: internal error: {}{place}; this is a bug, please report it with what you ran",
        message.lines().next().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_panic_is_one_line() {
        let seen = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&seen);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| *into.lock().unwrap() = report(info)));
        let caught = std::panic::catch_unwind(|| panic!("index {}\nand more", 7));
        std::panic::set_hook(before);
        assert!(caught.is_err());
        let line = seen.lock().unwrap().clone();
        assert!(line.starts_with("error: internal error: index 7 at "), "{line}");
        assert!(line.contains("panic.rs:") && line.contains("please report") && !line.contains('\n'), "{line}");
    }
}

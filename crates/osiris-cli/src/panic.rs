//! The output of a panic: one line that reports the bug, and a backtrace only with `RUST_BACKTRACE`.

use std::io::Write;
use std::panic::PanicHookInfo;

use osiris::core::{MASK, Redactor, visible_line};

use crate::logging;

/// Replaces Rust's own report by one line.
pub(crate) fn install() {
    let verbose = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let secrets = logging::known_secrets();
        let _ = writeln!(std::io::stderr(), "{}", line(info, &secrets));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            // Rust's own report has the message as it is: without secrets only the trace is left.
            if secrets.scrub(info.payload_as_str().unwrap_or_default()).contains(MASK) {
                let _ = writeln!(std::io::stderr(), "{}", std::backtrace::Backtrace::force_capture());
            } else {
                verbose(info);
            }
        }
    }));
}

/// The line, without secrets and control characters.
fn line(info: &PanicHookInfo<'_>, secrets: &Redactor) -> String {
    visible_line(&secrets.scrub(&report(info))).into_owned()
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

    /// What is printed of a panic with this message; the hook is that of the whole process.
    fn printed(message: &'static str, secrets: &[&str]) -> String {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _alone = ONE_AT_A_TIME.lock().unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let (into, redactor) = (Arc::clone(&seen), Redactor::new(secrets));
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| *into.lock().unwrap() = line(info, &redactor)));
        let caught = std::panic::catch_unwind(|| panic!("{message}"));
        std::panic::set_hook(before);
        assert!(caught.is_err());
        seen.lock().unwrap().clone()
    }

    #[test]
    fn s39_a_panic_shows_no_secret_and_no_control_character() {
        let line = printed("refused `k3y-0123456789` and pw\u{1b}[2J", &["k3y-0123456789", "pw"]);
        assert!(line.starts_with("error: internal error: refused `***` and pw\\u{1b}[2J at "), "{line}");
        let line = printed("refused abc", &["abc"]);
        assert!(line.starts_with("error: internal error: refused *** at "), "{line}");
    }

    #[test]
    fn a_panic_is_one_line() {
        let line = printed("index 7\nand more", &[]);
        assert!(line.starts_with("error: internal error: index 7 at "), "{line}");
        assert!(line.contains("panic.rs:") && line.contains("please report") && !line.contains('\n'), "{line}");
    }
}

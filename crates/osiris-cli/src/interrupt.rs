//! Ctrl-C, SIGTERM and SIGHUP: the first ends the run cleanly, the second ends the program at once. Neither waits for whoever reads
//! what is printed.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, Builder};
use std::time::Duration;

use osiris::pipeline::ExitCode;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What the last words get before the program ends at the second signal.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long an interrupted program waits for the reader of its results.
const UNREAD: Duration = Duration::from_secs(5);

/// How often is looked whether the program is interrupted while it prints its results.
const PAUSE: Duration = Duration::from_millis(100);

/// Calls `cancel` at the first signal and ends the program at the second. A thread of its own waits, so that it works whatever the
/// runtime is busy with. What is said, `first` and `last`, is said on further threads: it may have to wait for its reader.
pub(crate) fn listen(
    cancel: impl Fn() + Send + 'static,
    first: impl Fn() + Clone + Send + 'static,
    last: impl Fn() + Clone + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    Builder::new().name("signals".to_owned()).spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                say(last.clone());
                thread::sleep(LAST_WORDS);
                signal_hook::low_level::exit(ExitCode::Interrupted.code().into());
            }
            cancel();
            say(first.clone());
        }
    })?;
    Ok(())
}

/// Says something without waiting for it. That it cannot be said must not keep the program from ending.
fn say(words: impl FnOnce() + Send + 'static) {
    let _ = Builder::new().name("messages".to_owned()).spawn(words);
}

/// Until what it returns is dropped, the program ends with `code` some seconds after an interruption, whether or not its results
/// have been read.
pub(crate) fn end_unread(is_interrupted: impl Fn() -> bool + Send + 'static, code: u8) -> Sender<()> {
    let (printing, printed) = channel::<()>();
    // Without the thread there is still the second signal.
    let _ = Builder::new().name("unread".to_owned()).spawn(move || {
        let goes_on = |pause| printed.recv_timeout(pause) == Err(RecvTimeoutError::Timeout);
        while goes_on(PAUSE) {
            if is_interrupted() && goes_on(UNREAD) {
                signal_hook::low_level::exit(code.into());
            }
        }
    });
    printing
}

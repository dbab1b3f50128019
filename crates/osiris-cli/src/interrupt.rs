//! Ctrl-C, SIGTERM and SIGHUP: the first ends the run cleanly, the second ends the program at once.

use osiris::pipeline::ExitCode;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `first` at the first signal, and `last` before the program ends at the second. A thread of its own waits, so
/// that it works whatever the runtime is busy with.
pub(crate) fn listen(first: impl Fn() + Send + 'static, last: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                last();
                signal_hook::low_level::exit(ExitCode::Interrupted.code().into());
            }
            first();
        }
    })?;
    Ok(())
}

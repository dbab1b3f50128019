//! Ctrl-C and SIGTERM: the first ends the run cleanly, the second ends the program at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The exit code of a run that was interrupted.
const EXIT_CODE: i32 = 130;

/// Calls `first` at the first signal and ends the program at the second. A thread of its own waits, so that it works
/// whatever the runtime is busy with.
pub(crate) fn listen(first: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                signal_hook::low_level::exit(EXIT_CODE);
            }
            first();
        }
    })?;
    Ok(())
}

//! Questions on a terminal, some of them with an answer that is not shown.

use std::io::{self, IsTerminal as _};

use osiris::pipeline::ExitCode;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::console::Console;
use crate::interrupt;

/// Asks and returns the answer without its line end; none at the end of the input.
pub(crate) fn ask(question: &str, console: &Console) -> io::Result<Option<String>> {
    console.ask(question);
    let mut answer = String::new();
    let length = io::stdin().read_line(&mut answer)?;
    Ok((length > 0).then(|| answer.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The same, and the terminal does not show what is typed.
pub(crate) fn ask_hidden(question: &str, console: &Console) -> io::Result<Option<String>> {
    if !io::stdin().is_terminal() {
        return ask(question, console);
    }
    let hidden = Hidden::begin()?;
    let answer = ask(question, console);
    drop(hidden);
    console.report("");
    answer
}

/// A terminal that shows nothing of what is typed, until this is dropped or the program is interrupted.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let shown = tcgetattr(io::stdin())?;
        let mut silent = shown.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        let restored = shown.clone();
        interrupt::listen(move || end(&restored), || (), || ())?;
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(shown))
    }
}

/// Shows again what is typed, and ends.
fn end(shown: &Termios) {
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, shown);
    signal_hook::low_level::exit(ExitCode::Interrupted.code().into());
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing can be done about it.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

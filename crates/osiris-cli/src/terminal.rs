//! How wide the terminal is, and texts that fit into it.

use std::io;

use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for the part of a name that is left out.
const GAP: &str = "…";

/// The columns of the terminal that data goes to; none where it is no terminal.
pub(crate) fn stdout_width() -> Option<usize> {
    terminal_size_of(io::stdout()).map(|(Width(columns), _)| usize::from(columns))
}

/// The columns of the terminal that messages go to; none where it is no terminal.
pub(crate) fn stderr_width() -> Option<usize> {
    terminal_size_of(io::stderr()).map(|(Width(columns), _)| usize::from(columns))
}

/// The columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A name of at most so many columns: its middle is left out, since the ends are what tells names apart.
pub(crate) fn shortened(name: &str, columns: usize) -> String {
    if width(name) <= columns {
        return name.to_owned();
    }
    let room = columns.saturating_sub(width(GAP));
    let end: Vec<char> = taken(name.chars().rev(), room / 2);
    let start: Vec<char> = taken(name.chars(), room - room / 2);
    start.into_iter().chain(GAP.chars()).chain(end.into_iter().rev()).collect()
}

/// As many of the characters as fit.
fn taken(characters: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut used = 0;
    let fits = |character: &char| {
        used += UnicodeWidthChar::width(*character).unwrap_or(0);
        used <= columns
    };
    characters.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_long_name_is_left_out() {
        assert_eq!(shortened("orders", 6), "orders");
        assert_eq!(shortened("orders_of_january", 9), "orde…uary");
        assert_eq!(shortened("orders_of_january", 8), "orde…ary");
        assert_eq!(shortened("表の名前です", 7), "表…す");
        assert_eq!(shortened("orders", 0), "…");
    }
}

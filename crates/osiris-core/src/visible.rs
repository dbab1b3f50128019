//! Text of others on a screen: what a terminal would obey instead of showing is written out.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A text whose control characters are written out as `\u{1b}`: those of C0 and C1, DEL, and those that change the
/// direction of what follows (Unicode, UAX 9). Line ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    written_out(text, |c| matches!(c, '\n' | '\t'))
}

/// The same on one line: nothing stays.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    written_out(text, |_| false)
}

fn written_out(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| is_control(c) && !stays(c)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_control(c) && !stays(c) {
            let _ = write!(clean, "{}", c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Whether a terminal obeys a character: it moves the cursor, changes colours or turns the text that follows around.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s51_controls_are_written_out() {
        assert_eq!(visible("\u{1b}[31mred\u{7}\r\n\tx"), "\\u{1b}[31mred\\u{7}\\u{d}\n\tx");
        assert_eq!(visible("\u{9b}2J\u{7f} \u{202e}txt.exe\u{2066}"), "\\u{9b}2J\\u{7f} \\u{202e}txt.exe\\u{2066}");
        assert_eq!(visible_line("a\nb\tc"), "a\\u{a}b\\u{9}c");
        assert!(matches!(visible("Größe 数 ů"), Cow::Borrowed(_)));
    }
}

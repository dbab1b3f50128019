//! Texts near those of a corpus: pieces cut out, doubled, moved, and joined with pieces of other seeds and with what parsers trip
//! over.

use proptest::prelude::*;

/// What ends, begins or hides something for one parser or another.
const PIECES: &[&str] = &[
    "'",
    "\"",
    "`",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ";",
    ",",
    ".",
    ":",
    "::",
    ":=",
    "--",
    "-- \n",
    "/*",
    "*/",
    "/*!",
    "/*!50000",
    "#",
    "$",
    "$$",
    "$a$",
    "${",
    "${HOST}",
    "$${",
    "${X:-",
    "\\",
    "\\N",
    "\\'",
    "E'",
    "U&'",
    "x'",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{3000}",
    "\u{feff}",
    "\u{200b}",
    "\u{0}",
    "\u{1}",
    "\u{7f}",
    "é",
    "日",
    "🦆",
    "?",
    "$1",
    ":a",
    "@",
    "@@",
    "*",
    "=",
    "<",
    ">",
    "||",
    "-",
    "+",
    "%",
    "&",
    "!",
    "~",
    "0",
    "1",
    "1e9",
    "-1",
    "9223372036854775808",
    "NULL",
    "true",
    "null",
    " AS ",
    " FROM ",
    " WHERE ",
    "SELECT ",
    " SELECT 1 ",
    " UNION ALL ",
    " INTO ",
    " OUTFILE ",
    " FOR UPDATE ",
    " LOCK ",
    "WITH x AS (",
    " DELETE FROM steps.other ",
    "; DELETE FROM steps.t; ",
    "UPDATE steps.t SET id = 9",
    "INSERT INTO steps.t VALUES (9)",
    " RETURNING * ",
    "COPY t TO 'out.csv'",
    "DROP TABLE steps.other",
    "CREATE TEMP TABLE ",
    "CREATE TEMP MACRO f(a) AS ",
    "steps.other",
    "osiris.tables",
    "read_text('/etc/passwd')",
    "query('SELECT 1')",
    "query_table('steps.other')",
    "COMMIT",
    "BEGIN",
    "PIVOT ",
    "lambda x: ",
    " OVER ()",
    "count(*)",
    " IN (SELECT 1)",
    "\u{a0}AS\u{a0}",
    "? ",
    "- ",
    "  ",
    "---",
    "&a",
    "*a",
    "!!str ",
    "|",
    ">-",
];

/// One change.
#[derive(Debug, Clone)]
enum Change {
    /// Puts a piece in.
    Insert(usize, &'static str),
    /// Cuts a range out.
    Cut(usize, usize),
    /// Doubles a range.
    Double(usize, usize),
    /// Moves a range to another place.
    Move(usize, usize, usize),
    /// Puts a range of a seed in.
    Splice(usize, &'static str, usize, usize),
    /// Puts any character in the place of one.
    Replace(usize, char),
}

/// Texts made of `seeds`.
pub(crate) fn texts(seeds: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    let seed = prop::sample::select(seeds.to_vec());
    let at = || 0_usize..512;
    let length = || 0_usize..64;
    let change = prop_oneof![
        4 => (at(), prop::sample::select(PIECES)).prop_map(|(at, piece)| Change::Insert(at, piece)),
        2 => (at(), length()).prop_map(|(at, length)| Change::Cut(at, length)),
        1 => (at(), length()).prop_map(|(at, length)| Change::Double(at, length)),
        1 => (at(), length(), at()).prop_map(|(at, length, to)| Change::Move(at, length, to)),
        2 => (at(), seed.clone(), at(), length()).prop_map(|(at, seed, from, length)| Change::Splice(at, seed, from, length)),
        1 => (at(), any::<char>()).prop_map(|(at, c)| Change::Replace(at, c)),
    ];
    (seed, prop::collection::vec(change, 0..8)).prop_map(|(seed, changes)| {
        let mut text: Vec<char> = seed.chars().collect();
        changes.iter().for_each(|change| apply(&mut text, change));
        text.into_iter().collect()
    })
}

fn apply(text: &mut Vec<char>, change: &Change) {
    let place = |at: usize, text: &[char]| if text.is_empty() { 0 } else { at % (text.len() + 1) };
    let range = |at: usize, length: usize, text: &[char]| {
        let start = place(at, text);
        start..(start + length).min(text.len())
    };
    match change {
        Change::Insert(at, piece) => {
            let at = place(*at, text);
            text.splice(at..at, piece.chars());
        }
        Change::Cut(at, length) => {
            let range = range(*at, *length, text);
            text.drain(range);
        }
        Change::Double(at, length) => {
            let range = range(*at, *length, text);
            let copy: Vec<char> = text[range.clone()].to_vec();
            text.splice(range.end..range.end, copy);
        }
        Change::Move(at, length, to) => {
            let range = range(*at, *length, text);
            let moved: Vec<char> = text.drain(range).collect();
            let to = place(*to, text);
            text.splice(to..to, moved);
        }
        Change::Splice(at, seed, from, length) => {
            let seed: Vec<char> = seed.chars().collect();
            let piece = seed[range(*from, *length, &seed)].to_vec();
            let at = place(*at, text);
            text.splice(at..at, piece);
        }
        Change::Replace(at, c) => {
            if !text.is_empty() {
                let at = at % text.len();
                text[at] = *c;
            }
        }
    }
}

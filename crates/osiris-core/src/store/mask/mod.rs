//! Takes the values of cells out of DuckDB's messages. Where a value ends cannot be seen from its text, which may hold
//! quotes, brackets and line breaks itself: what is kept is what stands certainly before the first value and after the
//! last one, and of that only the words that DuckDB's messages are made of, and no number.

mod user;
mod words;

use crate::secret::MASK;
use words::{is_known, is_type};

pub(super) use user::ERROR_MACRO;

/// What stands before a value without quotes.
const BEFORE_VALUES: [&str; 7] = [
    " with value ",
    "Attempted to access ",
    "Codepoint ",
    "Could not cast value ",
    "Object {",
    "Overflow in ",
    "VARIANT(OBJECT(",
];
/// The same at the end of most messages about a value: JSON, dates and patterns are quoted as they are.
const COLON: &str = ": ";
/// Messages with a colon that no value follows.
const WITHOUT_VALUE: [&str; 4] = ["CSV ", "Failed to parse geometry", "Malformed JSON", "Mismatch Function"];
/// What follows a value after [`BEFORE_VALUES`], where DuckDB goes on.
const AFTER_A_VALUE: &str = " can't be cast";
/// What the name of a column follows at the end of a message.
const BEFORE_A_COLUMN: &str = " when casting from source column ";
/// Words whose number counts something of the message's own.
const BEFORE_POSITIONS: [&str; 6] = ["byte", "line", "offset", "position", "scale", "width"];
const QUOTES: [char; 2] = ['\'', '"'];

/// How messages about a value begin. One may come in any class, such as where an expression is computed while it is bound.
const ABOUT_VALUES: [&str; 16] = [
    "Casting value ",
    "Could not cast value ",
    "Could not convert ",
    "Could not decode string",
    "Could not parse string ",
    "Date out of range",
    "Failed to cast value",
    "Invalid UTF8 Codepoint",
    "Malformed JSON",
    "Overflow in ",
    "Unknown TimeZone",
    "date field value out of range",
    "extract specifier \"",
    "invalid date field format",
    "invalid timestamp field format",
    "time field value out of range",
];

/// Whether an error may quote data. Those of the classes that do not are about the SQL, files, or the machine.
pub(super) fn quotes_data(class: &str, text: &str) -> bool {
    const SAFE: [&str; 20] = [
        "",
        "Autoload",
        "Binder",
        "Catalog",
        "Connection",
        "Dependency",
        "Executor",
        "HTTP",
        "INTERRUPT",
        "IO",
        "Invalid Configuration",
        "Missing Extension",
        "Network",
        "Out of Memory",
        "Parameter Not Resolved",
        "Parser",
        "Permission",
        "Scheduler",
        "Settings",
        "Syntax",
    ];
    let is_about_a_value = user::message(text).is_some() || ABOUT_VALUES.iter().any(|start| text.starts_with(start));
    is_about_a_value || !SAFE.contains(&class)
}

/// Masks everything from the first value to the last, and the line of a file that the CSV reader quotes. What the user
/// has written in `sql` as the message of an error of his own stays.
pub(super) fn mask_data(class: &str, text: &str, sql: &str) -> String {
    if let Some(message) = user::message(text) {
        return user::mask(message, sql);
    }
    // The expression is that of the query. What DuckDB says after it is not for steps, which may not SET anything.
    if text.starts_with("Division by zero in expression ") {
        return text.split_once(". Use TRY").map_or(text, |(expression, _)| expression).to_owned();
    }
    let masked = mask_values(class, text);
    let has_names = matches!(class, "Constraint" | "TransactionContext") || text.starts_with("CSV ");
    if has_names { masked } else { mask_unknown(&masked) }
}

fn mask_values(class: &str, text: &str) -> String {
    const LINE: &str = "Original Line:";
    const ADVICE: &str = "\nPossible";
    if let Some((before, line)) = text.split_once(LINE).filter(|(before, _)| before.starts_with("CSV ")) {
        // The line may hold line breaks, and words of DuckDB's; its own advice comes last.
        let after = line.rfind(ADVICE).map_or("", |at| &line[at..]);
        return format!("{}{LINE} {MASK}{}", mask_quoted(before), mask_quoted(after));
    }
    let of_function = text.split_once(COLON).is_some_and(|(before, _)| is_known(before) && before.contains('_'));
    let has_colon = !matches!(class, "Constraint" | "TransactionContext")
        && !of_function
        && !WITHOUT_VALUE.iter().any(|start| text.starts_with(start));
    let markers = BEFORE_VALUES.into_iter().chain(has_colon.then_some(COLON));
    let marked = markers.filter_map(|marker| Some((text.find(marker)?, marker))).min();
    match marked {
        // In quotes it has an end.
        Some((at, COLON)) if text[at + COLON.len()..].starts_with(QUOTES) => mask_quoted(text),
        Some((at, marker)) if first_quote(&text[..at]).is_none() => mask_after(text, at, marker),
        _ => mask_quoted(text),
    }
}

/// Masks every number, and every word that is none of DuckDB's. The name of a column at the end stays.
fn mask_unknown(text: &str) -> String {
    let column = text.rfind(BEFORE_A_COLUMN).map(|at| at + BEFORE_A_COLUMN.len());
    let (text, column) = text.split_at(column.unwrap_or(text.len()));
    let column = if column.contains(char::is_whitespace) { MASK } else { column };
    let (mut masked, mut rest, mut before) = (String::with_capacity(text.len()), text, String::new());
    while let Some(start) = rest.find(|c: char| c.is_alphanumeric() || c == '_') {
        masked.push_str(&rest[..start]);
        let token = token(&rest[start..]);
        rest = &rest[start + token.len()..];
        let is_number = token.starts_with(|c: char| c.is_numeric());
        let is_ours = if is_number { BEFORE_POSITIONS.contains(&before.as_str()) } else { is_known(token) };
        masked.push_str(if is_ours { token } else { MASK });
        // `DECIMAL(4,2)`, `INTEGER[3]`
        if is_type(token) {
            let size = size(rest);
            masked.push_str(size);
            rest = &rest[size.len()..];
        }
        before = token.to_lowercase();
    }
    masked.push_str(rest);
    masked + column
}

/// A word or a number, from the beginning of a text that begins with one.
fn token(text: &str) -> &str {
    let is_number = text.starts_with(|c: char| c.is_numeric());
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let goes_on = text[at + c.len_utf8()..].starts_with(char::is_alphanumeric);
        // `can't`, `2024-01-01`, `10:30`, `1.5e+300`
        let joins = goes_on && if is_number { matches!(c, '-' | ':' | '.' | '+') } else { c == '\'' };
        if !(c.is_alphanumeric() || c == '_' || joins) {
            break;
        }
        end = at + c.len_utf8();
    }
    &text[..end]
}

/// The numbers in brackets that follow the name of a type.
fn size(text: &str) -> &str {
    let length = match text.chars().next() {
        Some('(') => text.find(')'),
        Some('[') => text.find(']'),
        _ => None,
    };
    let size = length.map_or("", |end| &text[..=end]);
    let is_size =
        size.len() < 10 && size.chars().all(|c| c.is_ascii_digit() || matches!(c, '(' | ')' | '[' | ']' | ',' | ' '));
    if is_size { size } else { "" }
}

/// Masks what follows `marker`, which is at `at`.
fn mask_after(text: &str, at: usize, marker: &str) -> String {
    let known = match marker {
        COLON => at + 1,
        // Behind it comes the operation: `multiplication of INT32 (1 * 2)!`, `HUGEINT addition: 1 + 2`.
        "Overflow in " => {
            at + [":", " ("].iter().filter_map(|end| text[at..].find(end)).min().unwrap_or(text.len() - at)
        }
        "Object {" => at + "Object ".len(),
        _ => at + marker.len(),
    };
    let (before, value) = text.split_at(known);
    let before = before.trim_end();
    let after = match marker {
        " with value " => value.rfind(AFTER_A_VALUE).map_or("", |at| &value[at..]),
        "Could not cast value " => value.rfind(" to ").map_or("", |at| &value[at..]),
        _ => "",
    };
    if value.is_empty() { text.to_owned() } else { format!("{before} {MASK}{}", first_line(after)) }
}

/// Masks everything from the first quote to the last: a value may hold quotes.
fn mask_quoted(text: &str) -> String {
    let (Some(first), Some(last)) = (first_quote(text), text.rfind(QUOTES)) else { return text.to_owned() };
    let quote = &text[first..=first];
    // The value may come again below, without quotes.
    let is_repeated = text.contains("format specifier");
    let after = if is_repeated || first == last { "" } else { first_line(&text[last + 1..]) };
    format!("{}{quote}{MASK}{quote}{after}", &text[..first])
}

/// The first quote that may begin a value: not the one in `can't`.
fn first_quote(text: &str) -> Option<usize> {
    let is_inside =
        |at: usize| text[..at].ends_with(char::is_alphabetic) && text[at + 1..].starts_with(char::is_alphabetic);
    text.match_indices(QUOTES).map(|(at, _)| at).find(|at| !is_inside(*at))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that hold what messages are made of.
    const CELLS: [&str; 6] = [
        "hidden",
        "\"hidden\"",
        "it's \"hidden\" (hidden)",
        "first hidden\nsecond \"hidden\nthird' hidden",
        "hidden to INT32\nOriginal Line: hidden\nPossible fixes: hidden\n",
        "hidden with value hidden can't be cast hidden: hidden",
    ];

    #[test]
    fn no_message_of_duckdb_shows_a_cell() {
        for cell in CELLS {
            for (class, text) in [
                ("Conversion", format!("Could not convert string '{cell}' to INT32")),
                ("Conversion", format!("Casting value \"{cell}\" to type DECIMAL(4,2) failed: value is out of range!")),
                (
                    "Conversion",
                    format!("Type VARCHAR with value {cell} can't be cast to the destination type INTEGER[]"),
                ),
                (
                    "Conversion",
                    format!("Malformed JSON at byte 9 of input: no low surrogate in string.  Input: \"{cell}\""),
                ),
                ("Conversion", format!("Failed to cast value to numerical: {cell}")),
                ("Conversion", format!("date field value out of range: \"{cell}\", expected format is (YYYY-MM-DD)")),
                ("Conversion", format!("Date out of range: {cell}")),
                ("Conversion", format!("extract specifier \"{cell}\" not recognized")),
                ("Conversion", format!("Could not convert string '{cell}' to ENUM('a', 'b')")),
                (
                    "Invalid Input",
                    format!(
                        "Could not parse string \"{cell}\" according to format specifier \"%Y\"\n{cell}\n^\nError: Expected a number"
                    ),
                ),
                ("Invalid Input", format!("Object {{\"b\":\"{cell}\"}} does not have key \"a\"")),
                ("Invalid Input", format!("missing ): ({cell}")),
                ("Invalid Input", format!("invalid perl operator: {cell}")),
                (
                    "Invalid Input",
                    format!(
                        "CSV Error on Line: 3\nOriginal Line: {cell}\nError when converting column \"a\". \
                         Could not convert string \"{cell}\" to 'BIGINT'\n\nPossible fixes:\n* Set x"
                    ),
                ),
                ("Out of Range", format!("Overflow in multiplication of INT32 ({cell} * 100000)!")),
                (
                    "Conversion",
                    format!("Could not cast value {cell} to DECIMAL(4,2) when casting from source column a"),
                ),
                ("Conversion", format!("VARIANT(OBJECT({cell})) is missing key 'a' to 'STRUCT(a INTEGER)'")),
                ("Not implemented", format!("Unknown TimeZone '{cell}'!\n\nCandidate time zones: \"Asia/Aden\"")),
                ("Invalid Input", format!("error(): {cell}")),
                ("Invalid Input", format!("error(): Assertion: {cell}")),
                ("INTERNAL", format!("Attempted to access {cell}")),
                ("Out of Range", format!("Overflow in HUGEINT multiplication: {cell} * 3")),
                ("Constraint", format!("Duplicate key \"id: {cell}\" violates primary key constraint")),
                (
                    "TransactionContext",
                    format!("Failed to commit: PRIMARY KEY or UNIQUE constraint violation: duplicate key \"{cell}\""),
                ),
            ] {
                let masked = mask_data(class, &text, "");
                assert!(
                    quotes_data(class, &text) && masked.contains(MASK) && !masked.contains("hidden"),
                    "{text}\n{masked}"
                );
            }
        }
    }

    #[test]
    fn a_message_about_a_value_is_one_in_any_class() {
        const TEXTS: [&str; 17] = [
            "Casting value \"hidden\" to type DECIMAL(4,2) failed: value is out of range!",
            "Could not cast value hidden to DECIMAL(4,2) when casting from source column a",
            "Could not convert string 'hidden' to INT32",
            "Could not decode string \"hidden\" as base64: length must be a multiple of 4",
            "Could not parse string \"hidden\" according to format specifier \"%Y\"\nhidden\n^\nError: Expected a number",
            "Date out of range: hidden",
            "Failed to cast value to numerical: hidden",
            "Invalid UTF8 Codepoint hidden",
            "Malformed JSON at byte 9 of input: no low surrogate in string.  Input: \"hidden\"",
            "Overflow in multiplication of INT32 (hidden * 100000)!",
            "Unknown TimeZone 'hidden'!\n\nCandidate time zones: \"Asia/Aden\"",
            "date field value out of range: \"hidden\", expected format is (YYYY-MM-DD)",
            "error(): hidden",
            "extract specifier \"hidden\" not recognized",
            "invalid date field format: \"hidden\", expected format is (YYYY-MM-DD)",
            "invalid timestamp field format: \"hidden\", expected format is (YYYY-MM-DD HH:MM:SS[.US][±HH[:MM[:SS]]| ZONE])",
            "time field value out of range: \"hidden\", expected format is ([YYYY-MM-DD ]HH:MM:SS[.MS])",
        ];
        for start in ABOUT_VALUES {
            assert!(TEXTS.iter().any(|text| text.starts_with(start)), "{start}");
        }
        for class in ["", "Binder", "Catalog", "Parser"] {
            for text in TEXTS {
                assert!(quotes_data(class, text), "{class} {text}");
                let masked = mask_data(class, text, "");
                assert!(masked.contains(MASK) && !masked.contains("hidden"), "{class} {text}\n{masked}");
            }
            for text in [
                "Referenced column \"nme\" not found in FROM clause!\nCandidate bindings: \"t.name\"",
                "Table with name movie does not exist!\nDid you mean \"movies\"?",
                "syntax error at or near \"FORM\"",
                "Could not choose a best candidate function for the function call \"f(STRING_LITERAL)\"",
            ] {
                assert!(!quotes_data(class, text), "{class} {text}");
            }
        }
    }

    /// What hides a value where it stands must not rely on its words being unknown.
    #[test]
    fn a_cell_of_words_that_duckdb_uses_is_masked_where_values_are_known_to_stand() {
        for (class, text) in [
            ("Conversion", "VARIANT(OBJECT(positive)) is missing key 'a' to 'STRUCT(a INTEGER)'"),
            ("Conversion", "Could not cast value positive to DECIMAL(4,2) when casting from source column a"),
            ("INTERNAL", "Attempted to access positive"),
            ("Conversion", "Could not convert string 'positive' to INT32"),
            ("Invalid Input", "invalid perl operator: positive"),
        ] {
            let masked = mask_data(class, text, "");
            assert!(!masked.contains("positive"), "{text}\n{masked}");
        }
    }

    #[test]
    fn what_is_no_value_stays() {
        for (class, text, expected) in [
            ("Conversion", "Could not convert string 'a' to INT32", "Could not convert string '***' to INT32"),
            (
                "Conversion",
                "Type INT64 with value 3000 can't be cast because the value is out of range for the destination type INT8",
                "Type INT64 with value *** can't be cast because the value is out of range for the destination type INT8",
            ),
            (
                "Conversion",
                "Malformed JSON at byte 9 of input: no low surrogate in string.  Input: \"[]\"",
                "Malformed JSON at byte 9 of input: no low surrogate in string.  Input: \"***\"",
            ),
            ("Out of Range", "Overflow in addition of INT32 (1 + 2)!", "Overflow in addition of INT32 ***"),
            ("Constraint", "NOT NULL constraint failed: sums.a", "NOT NULL constraint failed: sums.a"),
            ("Invalid Input", "Map keys must be unique.", "Map keys must be unique."),
            (
                "Conversion",
                "Could not cast value -4111.5e+30 to DECIMAL(4,2) when casting from source column amount",
                "Could not cast value *** to DECIMAL(4,2) when casting from source column amount",
            ),
            (
                "Conversion",
                "Could not convert DATE (9111-11-11) to nanoseconds",
                "Could not convert DATE (***) to nanoseconds",
            ),
            ("Conversion", "Type DATE can't be cast as INTEGER[3].", "Type DATE can't be cast as INTEGER[3]."),
            (
                "Conversion",
                "Can't convert VARIANT(OBJECT) value '{'a': 1}' to 'BOOLEAN'",
                "Can't convert VARIANT(OBJECT) value '***'",
            ),
            (
                "Conversion",
                "invalid date field format: \"x\", expected format is (YYYY-MM-DD)",
                "invalid date field format: \"***\", expected format is (YYYY-MM-DD)",
            ),
            ("Out of Range", "Left-shift value 4111 is out of range", "Left-shift value *** is out of range"),
            ("Out of Range", "bit index 405 out of valid range (0..2)", "bit index *** out of valid range (***..***)"),
            (
                "Out of Range",
                "Overflow in multiplication of DECIMAL(38) (1 * 2). You might want to add a cast",
                "Overflow in multiplication of DECIMAL(38) ***",
            ),
            (
                "Invalid Input",
                "list_distance: left argument can not contain NULL values",
                "list_distance: left argument can not contain NULL values",
            ),
            (
                "Out of Range",
                "Division by zero in expression (amount // pieces). Use TRY(...) to return NULL, or SET x=false",
                "Division by zero in expression (amount // pieces)",
            ),
            ("Not implemented", "Unknown TimeZone 'Mars'!", "Unknown TimeZone '***'!"),
            (
                "Not implemented",
                "Unimplemented type for cast (INTEGER -> DATE)",
                "Unimplemented type for cast (INTEGER -> DATE)",
            ),
        ] {
            assert_eq!(mask_data(class, text, ""), expected, "{text}");
        }
    }
}

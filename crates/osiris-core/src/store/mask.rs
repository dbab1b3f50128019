//! Takes the values of cells out of DuckDB's messages. Where a value ends cannot be seen from its text, which may hold
//! quotes, brackets and line breaks itself: what is kept is what stands certainly before the first value and after the
//! last one.

use crate::secret::MASK;

/// What stands before a value without quotes.
const BEFORE_VALUES: [&str; 4] = [" with value ", "Codepoint ", "Object {", "Overflow in "];
/// The same at the end of most messages about a value: JSON, dates and patterns are quoted as they are.
const COLON: &str = ": ";
/// Messages with a colon that no value follows.
const WITHOUT_VALUE: [&str; 2] = ["CSV ", "Malformed JSON"];
/// What follows a value after [`BEFORE_VALUES`], where DuckDB goes on.
const AFTER_A_VALUE: &str = " can't be cast";
const QUOTES: [char; 2] = ['\'', '"'];

/// Whether the errors of this class quote data.
pub(super) fn quotes_data(class: &str) -> bool {
    matches!(
        class,
        "Conversion" | "Out of Range" | "Constraint" | "Invalid Input" | "Mismatch Type" | "TransactionContext"
    )
}

/// Masks everything from the first value to the last, and the line of a file that the CSV reader quotes.
pub(super) fn mask_data(class: &str, text: &str) -> String {
    const LINE: &str = "Original Line:";
    const ADVICE: &str = "\nPossible";
    if let Some((before, line)) = text.split_once(LINE).filter(|(before, _)| before.starts_with("CSV ")) {
        // The line may hold line breaks, and words of DuckDB's; its own advice comes last.
        let after = line.rfind(ADVICE).map_or("", |at| &line[at..]);
        return format!("{}{LINE} {MASK}{}", mask_quoted(before), mask_quoted(after));
    }
    let has_colon = matches!(class, "Conversion" | "Out of Range" | "Invalid Input" | "Mismatch Type")
        && !WITHOUT_VALUE.iter().any(|start| text.starts_with(start));
    let markers = BEFORE_VALUES.into_iter().chain(has_colon.then_some(COLON));
    let marked = markers.filter_map(|marker| Some((text.find(marker)?, marker))).min();
    match marked {
        // In quotes it has an end.
        Some((at, COLON)) if text[at + COLON.len()..].starts_with(QUOTES) => mask_quoted(text),
        Some((at, marker)) if !text[..at].contains(QUOTES) => mask_after(text, at, marker),
        _ => mask_quoted(text),
    }
}

/// Masks what follows `marker`, which is at `at`.
fn mask_after(text: &str, at: usize, marker: &str) -> String {
    let known = match marker {
        COLON => at + 1,
        // Behind it comes the operation: `multiplication of INT32 (1 * 2)!`, `HUGEINT addition: 1 + 2`.
        "Overflow in " => at + text[at..].find([':', '(']).unwrap_or(text.len() - at),
        "Object {" => at + "Object ".len(),
        _ => at + marker.len(),
    };
    let (before, value) = text.split_at(known);
    let before = before.trim_end();
    let after = if marker == " with value " { value.rfind(AFTER_A_VALUE).map_or("", |at| &value[at..]) } else { "" };
    if value.is_empty() { text.to_owned() } else { format!("{before} {MASK}{}", first_line(after)) }
}

/// Masks everything from the first quote to the last: a value may hold quotes.
fn mask_quoted(text: &str) -> String {
    let (Some(first), Some(last)) = (text.find(QUOTES), text.rfind(QUOTES)) else { return text.to_owned() };
    let quote = &text[first..=first];
    // The value may come again below, without quotes.
    let is_repeated = text.contains("format specifier");
    let after = if is_repeated || first == last { "" } else { first_line(&text[last + 1..]) };
    format!("{}{quote}{MASK}{quote}{after}", &text[..first])
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
                ("Out of Range", format!("Overflow in HUGEINT multiplication: {cell} * 3")),
                ("Constraint", format!("Duplicate key \"id: {cell}\" violates primary key constraint")),
                (
                    "TransactionContext",
                    format!("Failed to commit: PRIMARY KEY or UNIQUE constraint violation: duplicate key \"{cell}\""),
                ),
            ] {
                let masked = mask_data(class, &text);
                assert!(quotes_data(class) && masked.contains(MASK) && !masked.contains("hidden"), "{text}\n{masked}");
            }
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
        ] {
            assert_eq!(mask_data(class, text), expected);
        }
    }
}

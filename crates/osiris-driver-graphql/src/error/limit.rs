//! The largest page that a server states in an error: "must be at most 100". There is no standard for it. Known are the texts of
//! GitHub and graphene ("Requesting 500 records on the `issues` connection exceeds the `first` limit of 100 records."), The Graph ("The
//! value of the `first` argument must be between 0 and 1000, but is 2000"), Strawberry ("Argument 'first' cannot be higher than 100."),
//! Sui ("page size of 51 exceeds max of 50"), Lighthouse ("Maximum number of 100 requested items exceeded, got 500") and async-graphql
//! ("must be less than or equal to 100"), and the member `maxAllowedItems` of Hot Chocolate.

use serde_json::Value;

/// Words for the number of items that are requested at once.
const SIZES: [&str; 18] = [
    "edges",
    "entries",
    "first",
    "items",
    "last",
    "nodes",
    "page_size",
    "pagesize",
    "per_page",
    "perpage",
    "records",
    "results",
    "rows",
    "size",
    "take",
    "top",
    "max_results",
    "maxresults",
];

/// Words of messages about another limit.
const OTHERS: [&str; 31] = [
    "aliases",
    "budget",
    "bytes",
    "characters",
    "chars",
    "complexity",
    "complex",
    "concurrent",
    "cost",
    "day",
    "days",
    "depth",
    "filter",
    "hour",
    "kb",
    "length",
    "letters",
    "mb",
    "minute",
    "ms",
    "offset",
    "points",
    "possible",
    "queries",
    "rate",
    "requests",
    "second",
    "seconds",
    "skip",
    "timed",
    "tokens",
];

/// Words before the largest number that is allowed.
const BOUNDS: [&str; 12] =
    ["<", "<=", "≤", "equal", "exceed", "exceeds", "limit", "max", "maximum", "most", "than", "up"];

/// How many words there may be between one of these and the number: `limit of 100`, `maximum page size is 100`.
const NEAR: usize = 4;

/// The number of rows that an error of a server allows at once, if that is what it is about.
pub(super) fn largest_page(error: &Value) -> Option<u64> {
    let extension = &error["extensions"]["maxAllowedItems"];
    let is_in_item = error["path"].as_array().is_some_and(|path| path.iter().any(Value::is_number));
    if is_in_item {
        return None;
    }
    extension.as_u64().or_else(|| stated(error["message"].as_str()?)).filter(|rows| *rows > 0)
}

fn stated(message: &str) -> Option<u64> {
    let text = message.to_lowercase();
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ',' | '<' | '=' | '≤' | '-' | '.');
    let words = text.split(|letter: char| !is_part(letter)).map(|word| word.trim_matches(['.', ',', '-']));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let has = |names: &[&str]| words.iter().any(|word| names.contains(word));
    // The word alone is about any limit; the argument is quoted, or what the message begins with.
    let is_argument =
        words.first() == Some(&"limit") || ["`limit`", "'limit'", "\"limit\""].iter().any(|name| text.contains(name));
    let is_about_size = has(&SIZES) || is_argument || words.windows(2).any(|two| two == ["per", "page"]);
    if !is_about_size || has(&OTHERS) {
        return None;
    }
    let allowed = |at: usize| {
        let number = words[at].replace(',', "").parse::<u64>().ok()?;
        let before = &words[at.saturating_sub(NEAR)..at];
        // Another number in between is what the word belongs to.
        let mut nearest = before.iter().rev().take_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
        let is_bound = nearest.any(|word| BOUNDS.contains(word));
        let is_upper = before.len() >= 3 && before[before.len() - 3..][0] == "between" && before.last() == Some(&"and");
        (is_bound || is_upper).then_some(number)
    };
    (0..words.len()).filter_map(allowed).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_texts_of_known_servers_state_their_largest_page() {
        for (message, rows) in [
            ("Requesting 500 records on the `issues` connection exceeds the `first` limit of 100 records.", 100),
            ("Value of \"first\" must be between 1 and 1000", 1000),
            ("The value of the `first` argument must be between 0 and 1000, but is 2000", 1000),
            ("Argument 'first' cannot be higher than 100.", 100),
            ("Connection's page size of 51 exceeds max of 50", 50),
            ("Maximum number of 100 requested items exceeded, got 500. Fetch smaller chunks.", 100),
            ("Invalid value for argument \"first\", the value is 500, must be less than or equal to 100", 100),
            ("first must be <= 100", 100),
            ("`limit` must be at most 1,000", 1000),
            ("first: must be ≤ 250", 250),
            ("limit 500 exceeds the maximum 100", 100),
            ("You may request up to 250 items per page", 250),
            ("perPage cannot exceed 50", 50),
            ("per page: at most 50", 50),
            ("The maximum page size is 200.", 200),
        ] {
            assert_eq!(largest_page(&json!({"message": message})), Some(rows), "{message}");
        }
        let hot_chocolate = json!({"message": "The maximum allowed items per page were exceeded.",
            "extensions": {"code": "HC0051", "maxAllowedItems": 50}});
        assert_eq!(largest_page(&hot_chocolate), Some(50));
    }

    #[test]
    fn other_limits_are_none_of_a_page() {
        for message in [
            "The first name must be at most 100 characters",
            "The `skip` argument must be between 0 and 5000, but is 6000",
            "The name must be at most 100",
            "Query has complexity of 300, which exceeds max complexity of 250",
            "requesting up to 1,000,000 possible nodes which exceeds the maximum limit of 500,000.",
            "You must provide a `first` or `last` value",
            "Requesting 500 records",
            "page must be at most 100",
            "rate limit: at most 100 records a minute",
            "Cannot query field \"first\" on type \"Query\".",
            "first must be at most 0",
            "You have reached the limit of 100 requests",
            "Too many requests: limit of 5 concurrent queries exceeded",
            "Query timed out (limit: 30000 ms)",
            "The filter `ids` may have at most 50 items",
            "The query is too complex: it requests 25000 nodes, the maximum is 10000",
        ] {
            assert_eq!(largest_page(&json!({"message": message})), None, "{message}");
        }
        let nested = json!({"message": "first must be at most 100", "path": ["items", "nodes", 3, "tags"]});
        assert_eq!(largest_page(&nested), None);
    }

    proptest! {
        #[test]
        fn any_message_is_read(message in "(\\PC|first|at most|between|and|than|[0-9,.]{1,25}| ){0,40}") {
            let _ = largest_page(&json!({"message": message}));
        }

        #[test]
        fn a_stated_number_is_found(rows in 1_u64..1_000_000) {
            let message = format!("first must be at most {rows}");
            prop_assert_eq!(largest_page(&json!({"message": message})), Some(rows));
        }
    }
}

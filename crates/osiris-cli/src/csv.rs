//! CSV as it is printed (RFC 4180).

/// A line of it. A text that is empty is quoted, and nothing is not.
pub(crate) fn line<'a>(fields: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|field| field.map_or_else(String::new, quoted)).collect();
    fields.join(",") + "\n"
}

fn quoted(field: &str) -> String {
    match field.is_empty() || field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_field_is_quoted_and_empty_is_not_nothing() {
        assert_eq!(
            line([Some("a"), Some("b,\"c\""), Some("d\ne"), Some(""), None]),
            "a,\"b,\"\"c\"\"\",\"d\ne\",\"\",\n"
        );
    }
}

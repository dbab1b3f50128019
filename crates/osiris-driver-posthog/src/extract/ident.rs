//! Ids as they are kept in memory: a UUID in 16 bytes, anything else as text.

/// An id. Two are equal when their texts are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Ident {
    /// A UUID as PostHog writes it: lower case, with hyphens.
    Uuid(u128),
    /// Any other text.
    Text(Box<str>),
}

/// The positions of the hyphens of a UUID.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl Ident {
    pub(super) fn of(text: &str) -> Self {
        uuid(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }

    /// The id of a row with its version: a session that has grown since is another row.
    pub(super) fn versioned(id: &str, version: Option<&str>) -> Self {
        match version {
            None => Self::of(id),
            Some(version) => Self::Text(format!("{id}@{version}").into()),
        }
    }
}

impl std::fmt::Display for Ident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Uuid(value) => {
                let hex = format!("{value:032x}");
                write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
        }
    }
}

fn uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut value: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        if HYPHENS.contains(&index) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_it_was_read() {
        for text in [
            "018d5a3f-0000-7000-8000-00000000000a",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "018D5A3F-0000-7000-8000-00000000000A",
            "018d5a3f-0000-7000-8000-00000000000",
            "018d5a3f00000700080000000000000000-a",
            "user@example.com",
            "",
        ] {
            assert_eq!(Ident::of(text).to_string(), text);
        }
        assert!(matches!(Ident::of("018d5a3f-0000-7000-8000-00000000000a"), Ident::Uuid(_)));
        assert_ne!(
            Ident::of("018D5A3F-0000-7000-8000-00000000000A"),
            Ident::of("018d5a3f-0000-7000-8000-00000000000a")
        );
    }
}

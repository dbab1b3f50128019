//! The plain names with which a path begins.

/// The leading names, and whether they are the whole path: `data`, `users`, `edges` of `$.data.users.edges[*].node`.
pub(crate) fn leading_names(path: &str) -> (Vec<String>, bool) {
    let path = path.trim();
    let mut rest = path.strip_prefix('$').map_or(path, |rest| rest.strip_prefix('.').unwrap_or(rest));
    let mut names = Vec::new();
    loop {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return (names, rest.is_empty());
        }
        names.push(name.to_owned());
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None => return (names, after.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_the_first_bracket_or_search() {
        for (path, names, whole) in [
            ("data", vec!["data"], true),
            ("$.data.users", vec!["data", "users"], true),
            ("data.users.edges[*].node", vec!["data", "users", "edges"], false),
            ("$..node", vec![], false),
            ("$['data']", vec![], false),
            ("data.*", vec!["data"], false),
        ] {
            assert_eq!(leading_names(path), (names.into_iter().map(str::to_owned).collect(), whole), "{path}");
        }
    }
}

//! Column names: from the header of a file, made unique, or generated if there is none.

use std::collections::BTreeSet;

/// The names of the columns of a file without a header: `column0`, `column1`, ...
pub(crate) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("column{index}")).collect()
}

/// The names of the columns of the file `name`, from the fields of its header: without spaces around them, and unique.
pub(crate) fn from_header(name: &str, fields: &[String]) -> Vec<String> {
    let trimmed: Vec<&str> = fields.iter().map(|field| field.trim()).collect();
    let (names, changed) = unique(&trimmed);
    if changed {
        tracing::warn!(file = name, columns = ?names, "the header has empty or duplicate names: renamed to be unique");
    }
    names
}

/// Makes names unique, ignoring case, and names empty ones: `a, A, , a` becomes `a, A_1, column2, a_2`. A name that the
/// file has is never given to another column. Returns whether any name was changed.
pub(crate) fn unique(names: &[&str]) -> (Vec<String>, bool) {
    let mut taken: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let mut first = BTreeSet::new();
    let mut changed = false;
    let unique = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let name = *name;
            if !name.is_empty() && first.insert(name.to_lowercase()) {
                return name.to_owned();
            }
            changed = true;
            let mut candidate = if name.is_empty() { format!("column{index}") } else { format!("{name}_1") };
            let mut count = 1;
            while !taken.insert(candidate.to_lowercase()) {
                count += 1;
                candidate = if name.is_empty() { format!("column{index}_{count}") } else { format!("{name}_{count}") };
            }
            candidate
        })
        .collect();
    (unique, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> Vec<String> {
        unique(names).0
    }

    #[test]
    fn repeated_and_empty_names_get_numbers() {
        assert_eq!(made(&["a", "a", "A", ""]), ["a", "a_1", "A_2", "column3"]);
    }

    #[test]
    fn a_name_of_the_header_is_never_given_away() {
        assert_eq!(made(&["a", "a", "a_1", "", "column3"]), ["a", "a_2", "a_1", "column3_2", "column3"]);
    }
}

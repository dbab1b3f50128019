//! Tables that are new, or gone, since the last run.

use super::{FoundTable, columns};

/// What to say of the tables of a group `now` that were others `then`, in the run `run_id`.
pub(crate) fn changes(group: &str, now: &[FoundTable], then: &[FoundTable], run_id: &str) -> Vec<String> {
    let without = |tables: &'_ [FoundTable], others: &[FoundTable]| {
        let only = tables.iter().filter(|table| !others.iter().any(|other| other.name == table.name));
        columns::named(only)
    };
    let count = |count: usize| if count == 1 { "1 table".to_owned() } else { format!("{count} tables") };
    let new = without(now, then)
        .map(|(names, number)| format!("`{group}` reads {} that run {run_id} did not read: {names}", count(number)));
    let gone = without(then, now).map(|(names, number)| {
        format!(
            "`{group}` no longer finds {} that run {run_id} has read: {names}; what was written of them stays",
            count(number)
        )
    });
    new.into_iter().chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_new_or_gone_are_named() {
        let tables = |names: &[&str]| -> Vec<FoundTable> {
            let table = |name: &&str| FoundTable { name: (*name).to_owned(), ..FoundTable::unknown(false) };
            names.iter().map(table).collect()
        };
        let found = changes("all", &tables(&["a", "b", "c"]), &tables(&["a", "x"]), "r1");
        assert_eq!(
            found,
            [
                "`all` reads 2 tables that run r1 did not read: `b`, `c`",
                "`all` no longer finds 1 table that run r1 has read: `x`; what was written of them stays",
            ]
        );
        assert_eq!(changes("all", &tables(&["a"]), &tables(&["a"]), "r1"), Vec::<String>::new());
    }
}

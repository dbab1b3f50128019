//! The ids of the steps that a group becomes. They depend on the group and the table alone: saved state and a resumed run find
//! them again, whatever tables are added.

use sha2::{Digest as _, Sha256};

use super::FoundTable;
use crate::parse::MAX_ID;

/// How many characters of a digest tell ids apart.
const DIGEST: usize = 8;

/// The id of the step for one table of the step `group`, such as `orders.shop.items`. What an id may not hold, or is too long,
/// is replaced, and a digest of the name tells it from others.
pub(super) fn of_table(group: &str, table: &FoundTable) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let letters: String = table.name.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let id = format!("{group}.{letters}");
    if letters == table.name && id.len() <= MAX_ID {
        return id;
    }
    let digest = Sha256::digest(table.name.as_bytes());
    let hex: String = digest.iter().take(DIGEST / 2).map(|byte| format!("{byte:02x}")).collect();
    let kept: String = id.chars().take(MAX_ID - DIGEST - 1).collect();
    format!("{kept}-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> String {
        of_table("orders", &FoundTable { name: name.to_owned(), ..FoundTable::unknown(false) })
    }

    #[test]
    fn an_id_says_the_table_where_it_can_and_differs_where_it_cannot() {
        assert_eq!(id("shop.items"), "orders.shop.items");
        assert!(id("order items").starts_with("orders.order-items-"));
        assert_ne!(id("order items"), id("order/items"));
        assert_ne!(id("表"), id("列"));
        let (one, two) = (id(&"a".repeat(120)), id(&"a".repeat(121)));
        assert!(one != two && one.len() == MAX_ID && two.len() == MAX_ID, "{one} {two}");
    }
}

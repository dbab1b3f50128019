//! What to read from a table, in PostgREST syntax: the rows (`filter`), the order (`order`), the columns (`select`).
//! One tree for both channels: a query string for REST, SQL for the direct one. No I/O here.
//!
//! The syntax: <https://docs.postgrest.org/en/v12/references/api/tables_views.html>.

mod condition;
mod literal;
mod name;
mod operand;
mod operator;
mod order;
mod parse;
mod select;

pub use order::Order;
pub use parse::Filter;
pub use select::Select;

pub(crate) use condition::Condition;
pub(crate) use name::{Reserved, quote_name};
pub(crate) use order::OrderColumn;
pub(crate) use select::{SelectItem, SelectKind};

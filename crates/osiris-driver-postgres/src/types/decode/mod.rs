//! Decodes binary COPY into Arrow, exactly or as configured. The type of a column is planned before the first row, from
//! the server's description; a value that its type cannot hold is an error with the column and a hint. The table of
//! types is in the crate's README.

mod column;
mod copy;
mod named;
mod numeric;
pub(crate) mod oid;
mod value;

pub use column::field;
pub(crate) use column::{ColumnPlan, Family, SourceColumn, plan};
pub(crate) use copy::{Frames, Tuple};
pub use named::store_type;

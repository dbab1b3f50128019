//! Binary COPY into Arrow: exact, or declared. What a column becomes is decided before the first row, from what the server says
//! about it; a value that its type cannot hold is an error that names the column and the way out.
//! The table of types is in the crate's README.

mod batch;
mod column;
mod copy;
mod named;
mod numeric;
pub(crate) mod oid;
mod value;

pub(crate) use batch::{batches, schema};
pub use column::field;
pub(crate) use column::{ColumnPlan, Family, SourceColumn, plan};
pub(crate) use copy::{Frames, Tuple};
pub use named::store_type;

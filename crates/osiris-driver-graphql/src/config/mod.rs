//! The configuration of the extractor and of its connection, as pipelines write it. The doc comments are the reference; nothing here
//! does I/O.

mod connection;
mod extractor;
mod pagination;
mod paging;

pub use connection::{AuthType, ConnectionConfig};
pub use extractor::{ExtractorConfig, NestedPages, NullItems, PartialErrors};
pub use pagination::{PageStyle, Pagination};
pub(crate) use paging::{Paging, paging};

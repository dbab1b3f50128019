//! Paging: from the first page of a list to its last, each fetched once, the next one while the last is stored.
//!
//! * [`PagePosition`]: where an extraction is, by cursor, offset, page number or link; how large the next page may be. No I/O.
//! * [`Pager`]: the loop around a [`PagedApi`], which says how its pages are requested and what they say about the next
//!   one. It detects pagination loops, halves the size of pages that are too large, stops at a page limit, compares
//!   what came with the server's count, and logs each page.
//! * [`read_ahead`]: fetches the next page while the last one is decoded and stored, for any [`PageSource`].
//! * [`AdaptiveSize`]: how much to request at once, for an API with its own kind of position.
//! * [`ran_out_of_time`]: whether a timeout says that a request was too large.
//! * [`next_link`]: the next page by the `Link` header (RFC 8288).
//!
//! What a page holds and how its rows are stored is up to the driver.

mod adaptive;
mod link;
mod next;
mod pager;
mod position;
mod read_ahead;
mod timeout;
mod visited;

pub use adaptive::AdaptiveSize;
pub use link::next_link;
pub use next::{NextPage, PageSummary};
pub use pager::{PagedApi, Pager};
pub use position::PagePosition;
pub use read_ahead::{PageQueue, PageSource, read_ahead};
pub use timeout::ran_out_of_time;

//! When the next request may go: by limits set beforehand, by what the server says in its headers, and by what its refusals
//! teach. Knows nothing of what is asked.
//!
//! * Up to 80% of a limit that the server tells of nothing happens. From there on the requests that are left are spread over
//!   the time to the reset, and a tenth of the limit is left to others who share it: at 90% the next request waits for the
//!   reset [DRV-015].
//! * After a 429 everybody waits as long as the server says [DRV-016], and then keeps to nine tenths of the rate at which it
//!   refused; that slowly grows again. A refusal that names no time while several requests are under way lowers how many
//!   there may be at once.

mod learned;
mod limit;
mod limiter;
mod server_limits;
mod shared;
mod usage;

pub use limit::RateLimit;
pub use limiter::Pace;
pub(crate) use limiter::Permit;
pub use usage::Usage;

#[cfg(test)]
mod tests;

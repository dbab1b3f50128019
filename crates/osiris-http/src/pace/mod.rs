//! When the next request may be sent: by limits set in advance, by the limits that the server reports in its headers,
//! and by its 429 responses. Knows nothing about the requests themselves.
//!
//! * Up to 80% of a limit that the server reports, nothing is delayed. From there on the remaining requests are spread
//!   over the time to the reset, and a tenth of the limit is left to others who share it: at 90% the next request waits
//!   for the reset [DRV-015].
//! * After a 429 every client waits as long as the server says [DRV-016], and then keeps to nine tenths of the rate
//!   that was rejected, which slowly grows again. A 429 without `Retry-After` while several requests are in flight
//!   lowers how many there may be at once.

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

//! The client's clock and jitter, which tests replace so that they need not wait [DRV-027].

pub(crate) use osiris_core::clock::random;
pub use osiris_core::clock::{Clock, Jitter, SimulatedClock, SystemClock};

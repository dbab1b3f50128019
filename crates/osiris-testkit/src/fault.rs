//! Faults that need no server: a disk that is full, a port where nobody listens.

use std::net::TcpListener;

use osiris_core::Result;

/// A device that takes no byte: every write to it fails with `No space left on device`. Linux has it.
pub const FULL_DEVICE: &str = "/dev/full";

/// A port of this machine at which connections are refused, for connections that must fail at once.
///
/// # Errors
/// When the machine has no port to spare.
pub fn refused_port() -> Result<u16> {
    // Bound for a moment so that the system picks one that is free, then given back.
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

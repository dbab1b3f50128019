//! Faults that need no server: a disk that is full, a port where nobody listens, one to which packets are lost.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use osiris_core::{Error, Result};
use tokio::net::TcpSocket;

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

/// What keeps a port silent: its listener, and the connections that fill its queue.
struct SilentPort {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

/// The one of this process.
static SILENT: Mutex<Option<SilentPort>> = Mutex::new(None);

/// A port of this machine at which a connection is neither made nor refused, as behind a firewall that drops packets: for time limits of
/// connecting. It stays so until the process ends.
///
/// # Errors
/// When the machine has no port to spare, or makes connections that nobody accepts.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn silent_port() -> Result<u16> {
    let mut silent = SILENT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = match silent.take() {
        Some(kept) => kept,
        None => fill_queue()?,
    };
    let port = kept.listener.local_addr()?.port();
    *silent = Some(kept);
    Ok(port)
}

/// Listens without accepting, and connects until no connection is made any more.
fn fill_queue() -> Result<SilentPort> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let listener = socket.listen(1)?.into_std()?;
    let address = listener.local_addr()?;
    let mut waiting = Vec::new();
    while waiting.len() < 16 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => return Ok(SilentPort { listener, _waiting: waiting }),
        }
    }
    Err(Error::unknown("this system makes connections that nobody accepts"))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn nobody_answers_at_the_silent_port() {
        let port = silent_port().unwrap();
        assert_eq!(silent_port().unwrap(), port);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let error = TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}

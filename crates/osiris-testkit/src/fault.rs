//! Faults that need no server: a disk that is full, a port where nobody listens, one to which packets are lost, one whose connections
//! stall.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use osiris_core::{Error, Result};
use tokio::net::TcpSocket;

use crate::proxy::{Fault, Proxy};

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

/// The proxy of this process whose connections stall.
static STALLED: Mutex<Option<Proxy>> = Mutex::new(None);

/// A port of this machine at which connections are made and stall: what is sent is taken, and nothing is ever answered. For time
/// limits of everything that follows a connection. It stays so until the process ends.
///
/// # Errors
/// When the machine has no port or no thread to spare.
pub fn stalled_port() -> Result<u16> {
    let mut stalled = STALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let proxy = match stalled.take() {
        Some(proxy) => proxy,
        None => {
            let proxy = Proxy::start(swallow()?)?;
            proxy.set(Fault::BLACK_HOLE);
            proxy
        }
    };
    let port = proxy.port();
    *stalled = Some(proxy);
    Ok(port)
}

/// A server that takes everything it is sent.
fn swallow() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("swallow".to_owned()).spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Without a thread the connection breaks: a fault of the test's machine.
            let _ = thread::Builder::new().spawn(move || io::copy(&mut stream, &mut io::sink()));
        }
    })?;
    Ok(address)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};

    use super::*;

    #[test]
    fn a_stalled_connection_is_made_and_never_answered() {
        let port = stalled_port().unwrap();
        assert_eq!(stalled_port().unwrap(), port);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn nobody_answers_at_the_silent_port() {
        let port = silent_port().unwrap();
        assert_eq!(silent_port().unwrap(), port);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let error = TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}

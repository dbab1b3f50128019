//! A network that fails on demand: a TCP proxy of this machine that refuses, delays, stalls or cuts connections.
//!
//! It works with threads of its own, so that a test may block its runtime and the proxy goes on.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use osiris_core::Result;

/// How often a thread looks whether something has changed.
const TICK: Duration = Duration::from_millis(5);

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// What is wrong with the network. It holds for connections that are open as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Nobody listens at the port, and the connections there are break.
    Refuse,
    /// Every chunk arrives so much later.
    Delay(Duration),
    /// After so many bytes of a connection in this direction no more arrive; the connection stays open.
    Stall {
        /// Which bytes count and stall.
        direction: Direction,
        /// How many arrive.
        after: u64,
    },
    /// After so many bytes of a connection in this direction it breaks.
    Cut {
        /// Which bytes count.
        direction: Direction,
        /// How many arrive.
        after: u64,
    },
}

impl Fault {
    /// The server can be connected to and never says a word.
    pub const BLACK_HOLE: Self = Self::Stall { direction: Direction::Down, after: 0 };
}

/// A proxy before one server. It ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    fault: Mutex<Fault>,
    ended: AtomicBool,
    accepted: AtomicU64,
    passed_up: AtomicU64,
    passed_down: AtomicU64,
}

impl Proxy {
    /// A proxy before the server at `target`, without a fault.
    ///
    /// # Errors
    /// When the machine has no port to spare.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target,
            fault: Mutex::new(Fault::Pass),
            ended: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            passed_up: AtomicU64::new(0),
            passed_down: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        thread::Builder::new().name("proxy".to_owned()).spawn(move || serving.serve(listener, port))?;
        Ok(Self { shared, port })
    }

    /// Its port at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the fault.
    pub fn set(&self, fault: Fault) {
        *lock(&self.shared.fault) = fault;
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many bytes have passed in this direction, over all connections.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.counter(direction).load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *lock(&self.fault)
    }

    fn counter(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Up => &self.passed_up,
            Direction::Down => &self.passed_down,
        }
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Accepts connections until the proxy ends. While the fault is `Refuse` there is no listener.
    fn serve(self: &Arc<Self>, listener: TcpListener, port: u16) {
        let mut listener = Some(listener);
        while !self.ended() {
            if self.fault() == Fault::Refuse {
                listener = None;
            } else if listener.is_none() {
                listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
            }
            let accepted = listener.as_ref().and_then(|listener| {
                listener.set_nonblocking(true).ok()?;
                listener.accept().ok()
            });
            match accepted {
                Some((client, _)) => self.connect(client),
                None => thread::sleep(TICK),
            }
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let pair = || -> io::Result<[TcpStream; 4]> {
            client.set_nonblocking(false)?;
            let server = TcpStream::connect(self.target)?;
            for stream in [&client, &server] {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TICK))?;
            }
            Ok([client.try_clone()?, server.try_clone()?, server, client])
        };
        // A server that is not there closes the connection, as a proxy's would.
        let Ok([from_client, to_server, from_server, to_client]) = pair() else { return };
        let closed = Arc::new(AtomicBool::new(false));
        for (direction, from, to) in
            [(Direction::Up, from_client, to_server), (Direction::Down, from_server, to_client)]
        {
            let (shared, closed) = (Arc::clone(self), Arc::clone(&closed));
            let pass = move || {
                shared.pass(direction, &from, &to, &closed);
                // The other direction ends as well, even if it is stalled.
                closed.store(true, Ordering::SeqCst);
            };
            // Without a thread the streams are dropped and the connection breaks: a fault of the test's machine.
            let _ = thread::Builder::new().name("proxy".to_owned()).spawn(pass);
        }
    }

    /// Passes bytes on in one direction until the connection ends or breaks.
    fn pass(&self, direction: Direction, from: &TcpStream, to: &TcpStream, closed: &AtomicBool) {
        let mut buffer = vec![0; 64 << 10];
        let mut passed: u64 = 0;
        while !self.ended() && !closed.load(Ordering::SeqCst) {
            let fault = self.fault();
            let allowed = match fault {
                Fault::Refuse => break,
                Fault::Cut { direction: of, after } if of == direction => {
                    if passed >= after {
                        break;
                    }
                    after - passed
                }
                Fault::Stall { direction: of, after } if of == direction => {
                    if passed >= after {
                        thread::sleep(TICK);
                        continue;
                    }
                    after - passed
                }
                _ => u64::MAX,
            };
            let most = usize::try_from(allowed).unwrap_or(usize::MAX).min(buffer.len());
            let read = match (&mut &*from).read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            if let Fault::Delay(delay) = fault {
                thread::sleep(delay);
            }
            // Counted before they are written: who has received bytes, or an answer to them, finds them counted.
            passed += read as u64;
            self.counter(direction).fetch_add(read as u64, Ordering::SeqCst);
            if (&mut &*to).write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            // The other direction may have done it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut from = stream.try_clone().unwrap();
                    let _ = io::copy(&mut from, &mut stream);
                });
            }
        });
        address
    }

    fn client(proxy: &Proxy) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    }

    #[test]
    fn bytes_pass_and_are_counted() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut stream = client(&proxy).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        assert_eq!((proxy.accepted(), proxy.passed(Direction::Up)), (1, 5));
    }

    #[test]
    fn a_connection_is_cut_after_the_wanted_byte() {
        let proxy = Proxy::start(echo()).unwrap();
        proxy.set(Fault::Cut { direction: Direction::Down, after: 3 });
        let mut stream = client(&proxy).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = Vec::new();
        // How a broken connection ends, with an error or without, is up to the system.
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"hel");
    }

    #[test]
    fn a_stalled_connection_goes_on_when_the_fault_is_gone() {
        let proxy = Proxy::start(echo()).unwrap();
        proxy.set(Fault::BLACK_HOLE);
        let mut stream = client(&proxy).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut answer = [0; 5];
        assert!(stream.read(&mut answer).is_err());
        proxy.set(Fault::Pass);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    }

    #[test]
    fn a_refused_connection_is_refused_and_back_later() {
        let proxy = Proxy::start(echo()).unwrap();
        proxy.set(Fault::Refuse);
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while client(&proxy).is_ok() {
            assert!(std::time::Instant::now() < deadline, "the port still answers");
        }
        proxy.set(Fault::Pass);
        while client(&proxy).is_err() {
            assert!(std::time::Instant::now() < deadline, "the port does not answer again");
        }
    }
}

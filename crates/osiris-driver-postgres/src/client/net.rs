//! Opens a socket to the server: all its addresses are tried with a short delay, and the first that answers is
//! used (RFC 8305). Some hosts only have IPv6 addresses.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use osiris_core::{Error, Result};
use tokio::net::{TcpStream, lookup_host};

use crate::error::io_error;

/// Delay before the next address is tried as well.
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the first address of `host` that answers.
///
/// # Errors
/// When the name is unknown or no address answers; the caller sets the time limit.
pub(super) async fn connect(host: &str, port: u16, doing: &str) -> Result<TcpStream> {
    let found = lookup_host((host, port)).await.map_err(|error| unknown(error, doing))?;
    let addresses = interleaved(found.collect());
    let only_ipv6 = !addresses.is_empty() && addresses.iter().all(SocketAddr::is_ipv6);
    let stream = race(addresses).await.map_err(|error| failed(error, only_ipv6, doing))?;
    stream.set_nodelay(true).map_err(|error| io_error(error, doing))?;
    Ok(stream)
}

/// Tries the addresses in order, starting each after a delay.
async fn race(mut addresses: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if let Some(address) = addresses.pop_front() {
            running.push(TcpStream::connect(address));
        }
        let answer = if addresses.is_empty() {
            running.next().await
        } else {
            tokio::select! {
                answer = running.next() => answer,
                () = tokio::time::sleep(STAGGER) => continue,
            }
        };
        match answer {
            Some(Ok(stream)) => return Ok(stream),
            // A refused connection is more informative than an unreachable network.
            Some(Err(error)) if failure.is_none() || !unreachable(&error) => failure = Some(error),
            None if addresses.is_empty() => {
                let nowhere = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                return Err(failure.unwrap_or_else(nowhere));
            }
            _ => {}
        }
    }
}

/// Alternates between address families, starting with the one that the system prefers.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_six = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_six);
    let mut all = VecDeque::with_capacity(first.len() + second.len());
    while let Some(address) = first.pop_front() {
        all.push_back(address);
        all.extend(second.pop_front());
    }
    all.extend(second);
    all
}

fn unknown(error: io::Error, doing: &str) -> Error {
    Error::network(format!("{doing}: unknown host"))
        .with_unknown_host(&error)
        .with_hint("check `host`, or the one in `dsn`")
        .with_source(error)
}

fn unreachable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::AddrNotAvailable
    )
}

fn failed(error: io::Error, only_ipv6: bool, doing: &str) -> Error {
    if only_ipv6 && unreachable(&error) {
        return Error::network(format!(
            "{doing}: the host has IPv6 addresses only, and this machine has no IPv6 route"
        ))
        .with_hint("use an IPv4 address of the server or of its pooler")
        .with_retryable(false)
        .with_source(error);
    }
    io_error(error, doing)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_families_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "127.0.0.1:1", "[::3]:1"].map(address);
        let expected = ["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(interleaved(all.to_vec()), expected);
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_passed_over() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = listener.local_addr().unwrap();
        let nobody = SocketAddr::from((Ipv6Addr::LOCALHOST, here.port()));
        let stream = race(VecDeque::from([nobody, here])).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), here);
    }

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_keep_the_next_from_being_tried() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = listener.local_addr().unwrap();
        // Reserved for documentation (RFC 5737): never answers.
        let silent = address("192.0.2.1:5432");
        let stream = tokio::time::timeout(Duration::from_secs(20), race(VecDeque::from([silent, here]))).await;
        assert_eq!(stream.unwrap().unwrap().peer_addr().unwrap(), here);
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_has_the_code_of_an_unknown_host() {
        let error = connect("no-such-host.invalid", 5432, "connecting").await.unwrap_err();
        assert_eq!((error.code(), error.message()), (osiris_core::Code::UnknownHost, "connecting: unknown host"));
        assert!(!error.is_retryable(), "{error:?}");
    }

    #[test]
    fn a_host_with_ipv6_alone_is_told_as_such() {
        let error = failed(io::ErrorKind::NetworkUnreachable.into(), true, "connecting");
        assert!(error.message().contains("IPv6") && error.hint().unwrap().contains("pooler"), "{error:?}");
        assert!(!failed(io::ErrorKind::ConnectionRefused.into(), true, "connecting").message().contains("IPv6"));
    }
}

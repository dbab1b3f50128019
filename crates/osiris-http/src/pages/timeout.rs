//! Which timeouts say that a request was too large.

use osiris_core::{Error, ErrorKind};

/// Whether the server ran out of time for a request: a smaller one may succeed. False for a connection that could not be made, or over
/// which nothing came back: it is dead for requests of any size, and asking for less would only take longer to find out.
pub fn ran_out_of_time(error: &Error) -> bool {
    error.kind() == ErrorKind::Timeout && !error.is_connection_failed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s61_a_dead_link_is_no_request_that_is_too_large() {
        assert!(ran_out_of_time(&Error::timeout("the server answered 504")));
        assert!(!ran_out_of_time(&Error::timeout("no response").with_connection_failed()));
        assert!(!ran_out_of_time(&Error::network("no response")));
    }
}

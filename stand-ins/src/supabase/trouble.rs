//! Faults between a client and the REST API, for tests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use osiris_testkit::http_server::Reply;

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// This status, with the message of a gateway; the request is not forwarded.
    Status(u16),
    /// 429, with so many seconds in `Retry-After`.
    RateLimited(u64),
    /// 503, with so many seconds in `Retry-After`.
    Unavailable(u64),
    /// The right response, later.
    Slow(Duration),
    /// The connection closes before the request is forwarded.
    CutRequest,
    /// The request is forwarded and executed; the connection closes without a response.
    DropAnswer,
    /// The request is forwarded and executed; the response is 502 instead of the right one.
    LoseAnswer,
    /// The request is forwarded and executed; the connection closes after so many bytes of the response's body.
    CutAnswer(usize),
}

impl Trouble {
    /// Whether the request reaches the API.
    pub(super) fn passes_on(&self) -> bool {
        matches!(self, Self::Slow(_) | Self::DropAnswer | Self::LoseAnswer | Self::CutAnswer(_))
    }

    /// The response, if it does not depend on the right one.
    pub(super) fn reply(&self) -> Reply {
        let said = |status: u16, message: &str| Reply::json(status, &json!({"message": message}));
        match self {
            Self::Status(status) => said(*status, "the gateway has trouble"),
            Self::RateLimited(seconds) => {
                said(429, "API rate limit exceeded").header("retry-after", &seconds.to_string())
            }
            Self::Unavailable(seconds) => {
                said(503, "name resolution failed").header("retry-after", &seconds.to_string())
            }
            Self::LoseAnswer => said(502, "An invalid response was received from the upstream server"),
            _ => Reply::hang_up(),
        }
    }

    /// The right response with this fault.
    pub(super) fn spoil(&self, reply: Reply) -> Reply {
        match self {
            Self::Slow(delay) => reply.after(*delay),
            Self::CutAnswer(bytes) => reply.cut_after(*bytes),
            _ => self.reply(),
        }
    }
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(super) struct Plan(Mutex<Vec<Planned>>);

#[derive(Debug)]
struct Planned {
    method: Option<String>,
    trouble: Trouble,
    /// Counts down; at zero it happens.
    wait: usize,
    /// Repeats after so many requests.
    every: Option<usize>,
}

impl Plan {
    pub(super) fn add(&self, method: Option<&str>, trouble: Trouble, every: Option<usize>) {
        let wait = every.unwrap_or(1).max(1) - 1;
        let planned = Planned { method: method.map(str::to_owned), trouble, wait, every };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(planned);
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The fault for the current request, if any.
    pub(super) fn take(&self, method: &str) -> Option<Trouble> {
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut happens = None;
        let mut index = 0;
        while let Some(planned) = plan.get_mut(index) {
            let concerned = planned.method.as_deref().is_none_or(|of| of == method);
            match (concerned, planned.wait, planned.every) {
                (true, 0, Some(every)) => {
                    planned.wait = every.max(1) - 1;
                    happens = happens.or_else(|| Some(planned.trouble.clone()));
                }
                (true, 0, None) if happens.is_none() => {
                    happens = Some(plan.remove(index).trouble);
                    continue;
                }
                (true, 1.., _) => planned.wait -= 1,
                _ => {}
            }
            index += 1;
        }
        happens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_comes_once_in_order_or_again_and_again() {
        let plan = Plan::default();
        plan.add(None, Trouble::CutRequest, None);
        plan.add(Some("POST"), Trouble::DropAnswer, None);
        let seen: Vec<_> = ["GET", "GET", "POST", "POST"].map(|method| plan.take(method)).into();
        assert_eq!(seen, [Some(Trouble::CutRequest), None, Some(Trouble::DropAnswer), None]);
        plan.add(Some("POST"), Trouble::Status(500), Some(2));
        let seen: Vec<_> = ["POST", "GET", "POST", "POST", "POST"].map(|method| plan.take(method).is_some()).into();
        assert_eq!(seen, [false, false, true, false, true]);
        plan.clear();
        assert_eq!(plan.take("POST"), None);
    }
}

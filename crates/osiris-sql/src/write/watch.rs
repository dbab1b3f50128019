//! Waits for a response while the server is working.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The response, however long it takes as long as `is_at_work` says so after each `silence`; `None` once it does not.
/// It is pinned by the caller: passed by value it would be part of every future around this one.
pub async fn while_at_work<T, W>(
    mut response: Pin<&mut impl Future<Output = T>>,
    silence: Duration,
    is_at_work: impl Fn() -> W,
) -> Option<T>
where
    W: Future<Output = bool>,
{
    loop {
        match tokio::time::timeout(silence, response.as_mut()).await {
            Ok(response) => return Some(response),
            Err(_) if is_at_work().await => {}
            Err(_) => return None,
        }
    }
}

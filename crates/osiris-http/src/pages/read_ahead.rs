//! The next page is fetched while the last one is stored: the network and the store work at the same time, and at most three pages are
//! in memory.

use osiris_core::Result;
use tokio::sync::mpsc;

/// Pages between the network and the store, besides the one being stored.
const PAGES_IN_FLIGHT: usize = 1;

/// What has pages, one behind the other.
pub trait PageSource: Send {
    /// A page.
    type Page: Send;

    /// The next page; nothing behind the last one.
    ///
    /// # Errors
    /// What stopped it. No page is asked for after an error.
    fn next_page(&mut self) -> impl Future<Output = Result<Option<Self::Page>>> + Send;
}

/// Pages that were fetched.
#[derive(Debug)]
pub struct PageQueue<P>(mpsc::Receiver<P>);

impl<P> PageQueue<P> {
    /// The next page; nothing behind the last one.
    ///
    /// # Cancel safety
    /// No page is lost.
    pub async fn next(&mut self) -> Option<P> {
        self.0.recv().await
    }
}

/// Fetches every page of `source`, and has `store` store the last one while the next is fetched. Returns what `store` returns. A
/// store that drops its queue ends the fetching.
///
/// # Errors
/// The first error of either of them.
///
/// # Cancel safety
/// Dropped, both are dropped where they are.
pub async fn read_ahead<S, T, F>(source: &mut S, store: impl FnOnce(PageQueue<S::Page>) -> F) -> Result<T>
where
    S: PageSource,
    F: Future<Output = Result<T>>,
{
    let (sender, receiver) = mpsc::channel(PAGES_IN_FLIGHT);
    let fetching = async {
        // Owned by this half alone: the store sees the end of the queue when it is dropped.
        let sender = sender;
        while let Some(page) = source.next_page().await? {
            if sender.send(page).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let ((), stored) = tokio::try_join!(fetching, store(PageQueue(receiver)))?;
    Ok(stored)
}

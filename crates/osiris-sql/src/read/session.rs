//! What the shared code asks of a session that reads, and how several sessions divide statements among themselves.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use osiris_core::{Error, Result};
use tokio::task::JoinSet;

use super::cursor::Boundary;
use super::source::SelectSource;
use super::{Counts, WaitLimits};

/// A session that reads rows into the sink of its step.
pub trait ReadSession: Send {
    /// The first row of a small result, as text. The message of an error starts with `doing`.
    fn row(&mut self, sql: &str, doing: &str) -> impl Future<Output = Result<Vec<Option<String>>>> + Send;

    /// Reads all rows of `sql`; at a boundary only those that no earlier run has taken.
    fn read(&mut self, sql: String, boundary: Option<&mut Boundary>) -> impl Future<Output = Result<Counts>> + Send;
}

/// A connection that answers small queries as text.
pub trait SqlSession: Send {
    /// The rows of a small result. The message of an error starts with `doing`.
    fn rows(&mut self, sql: &str, doing: &str) -> impl Future<Output = Result<Vec<Vec<Option<String>>>>> + Send;
}

/// Reads the rows of statements into the sink of its step.
pub trait StatementReader: Clone + Send + Sync {
    /// What it reads over.
    type Session: SqlSession;

    /// How long it waits.
    fn limits(&self) -> &WaitLimits;

    /// Reads all rows of `sql`; at a boundary only those that no earlier run has taken.
    fn read(
        &self,
        session: &mut Self::Session,
        sql: String,
        boundary: Option<&mut Boundary>,
    ) -> impl Future<Output = Result<Counts>> + Send;
}

/// A session with the reader that reads over it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReaderSession<R: StatementReader> {
    /// The session.
    pub session: R::Session,
    reader: R,
}

impl<R: StatementReader> ReaderSession<R> {
    /// Reads over `session`.
    pub fn new(session: R::Session, reader: &R) -> Self {
        Self { session, reader: reader.clone() }
    }
}

impl<R: StatementReader> ReadSession for ReaderSession<R> {
    async fn row(&mut self, sql: &str, doing: &str) -> Result<Vec<Option<String>>> {
        let rows = self.reader.limits().first(doing, self.session.rows(sql, doing)).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    async fn read(&mut self, sql: String, boundary: Option<&mut Boundary>) -> Result<Counts> {
        self.reader.read(&mut self.session, sql, boundary).await
    }
}

/// Reads the rows under each of the conditions, at most `limit` of them, each over a free session. `after` is what
/// becomes of a session that nothing is left for: the others may read for hours. Returns its results too.
///
/// # Errors
/// The first error; the other reads are stopped.
pub async fn read_ranges<S, R, F>(
    sessions: Vec<S>,
    source: &SelectSource,
    conditions: &[String],
    limit: Option<u64>,
    after: impl Fn(S) -> F + Clone + Send + 'static,
) -> Result<(Counts, Vec<R>)>
where
    S: ReadSession + 'static,
    R: Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    let statements = conditions.iter().map(|condition| source.select(Some(condition), limit));
    let queue = Arc::new(Mutex::new(statements.collect::<VecDeque<String>>()));
    let mut workers = JoinSet::new();
    for mut session in sessions {
        let (queue, after) = (Arc::clone(&queue), after.clone());
        workers.spawn(async move {
            let mut counts = Counts::default();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(sql) = next else { break };
                counts.add(session.read(sql, None).await?);
            }
            Ok::<_, Error>((counts, after(session).await?))
        });
    }
    let (mut counts, mut done) = (Counts::default(), Vec::new());
    while let Some(joined) = workers.join_next().await {
        let joined = joined.map_err(|error| Error::unknown("reading a range ended in a panic").with_source(error))?;
        let (part, after) = joined?;
        counts.add(part);
        done.push(after);
    }
    Ok((counts, done))
}

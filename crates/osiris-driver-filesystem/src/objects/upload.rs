//! Uploads a file of the scratch directory. A large one goes in parts, which nobody sees before the upload is completed;
//! an upload that is not completed is aborted. The metadata of an object names the attempt that wrote it: so the outcome
//! of a completion whose answer is lost can be asked for.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions,
    PutOptions,
};
use osiris_core::store::AtWork;
use osiris_core::{CommitOutcome, Error, ExecutionContext, Result, RetryPolicy};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::WrittenObject;
use super::address::ObjectPath;
use super::download::TRIES;
use super::store::Bucket;
use crate::blocking::blocking;
use crate::client::{Location, Target};
use crate::commit::NotPublished;
use crate::error::io_error;

/// The least size of a part; a file that is not larger is uploaded in one request.
const PART: u64 = 8 << 20;
/// The most parts of an upload. S3 has a limit of 10,000.
const PARTS: u64 = 9_000;
/// How many parts are uploaded at a time.
const AT_ONCE: usize = 4;
/// The metadata that names the attempt. Azure allows letters only.
const ATTEMPT: &str = "osirisattempt";

/// A file on its way to an object.
pub(crate) struct Upload {
    bucket: Bucket,
    path: ObjectPath,
    key: Key,
    file: PathBuf,
    bytes: u64,
    attempt: String,
    /// Whether an existing object is left as it is.
    creates: bool,
    parts: Option<Parts>,
}

/// The parts that are uploaded, aborted when dropped.
struct Parts {
    upload: Mutex<Option<Box<dyn MultipartUpload>>>,
    /// The run waits for the abortion.
    at_work: Option<AtWork>,
}

impl Parts {
    /// None once it is completed or aborted.
    fn upload(&mut self) -> &mut Option<Box<dyn MultipartUpload>> {
        self.upload.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// The upload of `file` to `path` over the connection of `location`: it replaces an existing object, unless it
    /// `creates` one. No network I/O.
    ///
    /// # Errors
    /// When the connection or the key cannot be used, or the file cannot be read.
    pub(crate) fn new(location: &Location, path: &ObjectPath, file: PathBuf, creates: bool) -> Result<Self> {
        let bucket = Bucket::open(location, path, &RetryPolicy::times(TRIES))?;
        let key = bucket.key(path)?;
        let bytes = file.metadata().map_err(|error| io_error("could not be read back", path.to_string(), error))?.len();
        let attempt = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        Ok(Self { bucket, path: path.clone(), key, file, bytes, attempt, creates, parts: None })
    }

    /// What identifies it.
    pub(crate) fn written(&self) -> WrittenObject {
        WrittenObject { address: self.path.to_string(), bytes: self.bytes, attempt: self.attempt.clone() }
    }

    /// Uploads the parts of a large file. Nothing is visible afterwards.
    ///
    /// # Errors
    /// When the file cannot be read, or the store refuses it.
    ///
    /// # Cancel safety
    /// Dropping the future and the upload aborts it.
    pub(crate) async fn send(&mut self, ctx: &ExecutionContext) -> Result<()> {
        // An upload in parts cannot be made conditional.
        if self.bytes <= PART {
            return Ok(());
        }
        if self.creates {
            self.ensure_missing().await?;
        }
        let begun = self.begin(ctx).await?;
        let parts = self.parts.insert(begun);
        let failed = |error| io_error("could not be read back", self.path.to_string(), error);
        let mut file = File::open(&self.file).map_err(failed)?;
        let size = part_size(self.bytes);
        let (mut left, mut running) = (self.bytes, JoinSet::new());
        while left > 0 {
            let wanted = left.min(size);
            let (piece, again) = blocking(move |_| Ok((part(&mut file, wanted), file))).await?;
            file = again;
            let piece = piece.map_err(failed)?;
            left -= wanted;
            if running.len() == AT_ONCE {
                ended(running.join_next().await, &self.bucket, &self.path)?;
            }
            let Some(upload) = parts.upload() else { break };
            running.spawn(upload.put_part(piece.into()));
        }
        while let Some(joined) = running.join_next().await {
            ended(Some(joined), &self.bucket, &self.path)?;
        }
        Ok(())
    }

    /// Begins an upload in parts. It is begun to the end even if the future is dropped, and then aborted: an upload that
    /// nobody knows of would stay.
    async fn begin(&self, ctx: &ExecutionContext) -> Result<Parts> {
        let (store, key, at_work) = (Arc::clone(&self.bucket.store), self.key.clone(), ctx.store().at_work());
        let options = PutMultipartOptions { attributes: self.attributes(), ..PutMultipartOptions::default() };
        let (sender, begun) = oneshot::channel();
        tokio::spawn(async move {
            let upload = store.put_multipart_opts(&key, options).await;
            let parts = upload.map(|upload| Parts { upload: Mutex::new(Some(upload)), at_work: Some(at_work) });
            // What nobody receives is dropped, and thus aborted.
            let _ = sender.send(parts);
        });
        let begun = begun.await.map_err(|error| Error::unknown("an upload ended in a panic").with_source(error))?;
        begun.map_err(|error| self.bucket.failed(error, "cannot be written", &self.path))
    }

    async fn ensure_missing(&self) -> Result<()> {
        match self.bucket.store.head(&self.key).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.bucket.failed(error, "cannot be written", &self.path)),
            Ok(_) => Err(Error::validation(format!("`{}` exists already", self.path)).with_hint("run it again")),
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes::from_iter([(Attribute::Metadata(ATTEMPT.into()), self.attempt.clone())])
    }

    /// Makes the object visible.
    ///
    /// # Errors
    /// When the store refuses it, or its answer is lost and it cannot be asked whether the object is there.
    pub(crate) async fn complete(&mut self) -> Result<(), NotPublished> {
        let completed = match self.parts.as_mut().and_then(|parts| parts.upload().as_mut()) {
            Some(upload) => upload.complete().await.map(drop),
            None => self.put().await,
        };
        let Err(error) = completed else {
            self.forget();
            return Ok(());
        };
        let is_refused = is_refusal(&error);
        let error = self.bucket.failed(error, "cannot be written", &self.path);
        if self.is_there().await == Some(true) {
            self.forget();
            return Ok(());
        }
        let untouched = match self.abort().await {
            // What was in flight is lost now, or had arrived before.
            Some(Ok(())) => match self.is_there().await {
                Some(true) => return Ok(()),
                Some(false) => true,
                None => false,
            },
            Some(Err(_)) => false,
            None => is_refused,
        };
        Err(NotPublished { error, untouched })
    }

    /// Uploads a small file in one request.
    async fn put(&self) -> object_store::Result<()> {
        let source = |error: io::Error| object_store::Error::Generic { store: "file", source: Box::new(error) };
        let content = File::open(&self.file).and_then(|mut file| part(&mut file, self.bytes)).map_err(source)?;
        let mode = if self.creates { PutMode::Create } else { PutMode::Overwrite };
        let options = PutOptions { mode, attributes: self.attributes(), ..PutOptions::default() };
        self.bucket.store.put_opts(&self.key, content.into(), options).await.map(drop)
    }

    /// Whether the object of this attempt is there; `None` if the store cannot be asked.
    async fn is_there(&self) -> Option<bool> {
        is_there(&self.bucket, &self.key, &self.written()).await.ok()
    }

    /// Aborts an upload in parts; `None` if there is none.
    async fn abort(&mut self) -> Option<object_store::Result<()>> {
        let mut upload = self.parts.take()?.upload().take()?;
        Some(upload.abort().await)
    }

    /// Nothing is left to be aborted.
    fn forget(&mut self) {
        if let Some(parts) = &mut self.parts {
            *parts.upload() = None;
        }
    }

    /// Removes the object again, if it is the one of this attempt; whether it is certainly gone.
    pub(crate) async fn take_back(&self) -> bool {
        match self.is_there().await {
            Some(true) => self.bucket.store.delete(&self.key).await.is_ok(),
            Some(false) => true,
            None => false,
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload().take() else { return };
        let at_work = self.at_work.take();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = upload.abort().await {
                let status = error.to_string().contains("status code: 404");
                tracing::warn!(
                    gone = status,
                    "an incomplete upload could not be aborted: its parts stay in the bucket"
                );
            }
            drop(at_work);
        });
    }
}

fn ended(
    joined: Option<Result<object_store::Result<()>, tokio::task::JoinError>>,
    bucket: &Bucket,
    path: &ObjectPath,
) -> Result<()> {
    match joined {
        Some(Ok(Err(error))) => Err(bucket.failed(error, "cannot be written", path)),
        Some(Err(error)) => Err(Error::unknown("an upload ended in a panic").with_source(error)),
        Some(Ok(Ok(()))) | None => Ok(()),
    }
}

/// The size of the parts of a file: all the same, as some stores demand.
fn part_size(bytes: u64) -> u64 {
    bytes.div_ceil(PARTS).max(PART)
}

/// The next bytes of a file, which must have so many.
fn part(file: &mut File, bytes: u64) -> io::Result<Bytes> {
    let size = usize::try_from(bytes).map_err(io::Error::other)?;
    let mut piece = Vec::with_capacity(size);
    match file.take(bytes).read_to_end(&mut piece)? {
        read if read == size => Ok(piece.into()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Whether the server has said that it did nothing.
fn is_refusal(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    let text = error.to_string();
    let status = text.split("status code: ").nth(1).and_then(|rest| rest.get(..1));
    matches!(error, E::AlreadyExists { .. } | E::Precondition { .. } | E::PermissionDenied { .. } | E::NotFound { .. })
        || status == Some("4")
}

async fn is_there(bucket: &Bucket, key: &Key, written: &WrittenObject) -> object_store::Result<bool> {
    let options = GetOptions { head: true, ..GetOptions::default() };
    match bucket.store.get_opts(key, options).await {
        Ok(got) => {
            let attempt = got.attributes.get(&Attribute::Metadata(ATTEMPT.into()));
            Ok(got.meta.size == written.bytes && attempt.is_some_and(|attempt| **attempt == *written.attempt))
        }
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether objects that an earlier process was about to write are there. One that is not may still arrive.
///
/// # Errors
/// When the store cannot be asked.
pub(crate) async fn outcome(location: &Location, objects: &[WrittenObject]) -> Result<CommitOutcome> {
    let mut there = 0;
    for written in objects {
        let Target::Object(path) = location.target(&written.address)? else { return Ok(CommitOutcome::Unknown) };
        let bucket = Bucket::open(location, &path, &RetryPolicy::times(TRIES))?;
        let found = is_there(&bucket, &bucket.key(&path)?, written).await;
        if found.map_err(|error| bucket.failed(error, "cannot be read", &path))? {
            there += 1;
        }
    }
    Ok(if there == objects.len() { CommitOutcome::Committed { written: None } } else { CommitOutcome::Unknown })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use object_store::memory::InMemory;

    use super::*;
    use crate::objects::address::Scheme;

    fn of_store(store: Arc<dyn ObjectStore>, file: &Path, creates: bool) -> Upload {
        let path = ObjectPath::parse(Scheme::S3, "lake/out/a.csv").unwrap();
        let bucket = Bucket { store, is_anonymous: false };
        let (key, bytes) = (bucket.key(&path).unwrap(), file.metadata().unwrap().len());
        let attempt = format!("{:032x}", fastrand::u128(..));
        Upload { bucket, path, key, file: file.to_path_buf(), bytes, attempt, creates, parts: None }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[tokio::test]
    async fn s2_an_object_is_recognised_as_that_of_an_attempt() {
        let (store, file): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), file("a\n1\n"));
        let mut first = of_store(Arc::clone(&store), file.path(), false);
        assert_eq!(first.is_there().await, Some(false));
        first.complete().await.unwrap();
        assert_eq!(first.is_there().await, Some(true));
        let mut second = of_store(store, file.path(), false);
        assert_eq!(second.is_there().await, Some(false));
        second.complete().await.unwrap();
        assert_eq!((first.is_there().await, second.is_there().await), (Some(false), Some(true)));
    }

    #[tokio::test]
    async fn an_object_that_is_created_replaces_none() {
        let (store, file): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), file("a\n1\n"));
        let mut first = of_store(Arc::clone(&store), file.path(), true);
        first.complete().await.unwrap();
        let mut second = of_store(store, file.path(), true);
        let refused = second.complete().await.unwrap_err();
        assert!(refused.untouched && refused.error.message().contains("exists already"), "{}", refused.error);
        assert!(second.take_back().await && first.is_there().await == Some(true), "that of another is left alone");
        assert!(first.take_back().await && first.is_there().await == Some(false));
    }

    #[test]
    fn a_file_of_any_size_has_few_enough_parts() {
        assert_eq!(part_size(PART + 1), PART);
        assert!((5_u64 << 40).div_ceil(part_size(5 << 40)) <= PARTS);
    }
}

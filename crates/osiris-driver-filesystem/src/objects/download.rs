//! Downloads objects to the scratch directory of a step, in ranges, each tried several times. Every range must be of the
//! object that was listed: one that is replaced half-way is an error.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta};
use osiris_core::{Error, Result, RetryPolicy, private};
use tokio::task::JoinSet;

use super::address::{ObjectPath, Scheme};
use super::error::changed;
use super::find::{Found, find};
use super::store::Bucket;
use crate::client::{FileKind, Location, SourceFile, Target};
use crate::error::io_error;
use crate::scratch::Scratch;

/// The size of a range.
const RANGE: u64 = 64 << 20;
/// How many objects are downloaded at a time.
const AT_ONCE: usize = 4;
/// How often a request is sent, as by the HTTP client of this project.
pub(super) const TRIES: u32 = 5;

/// Downloads the objects of `path`; no file if it is not the address of a store.
///
/// # Errors
/// When there is no such object, it cannot be read, or changes meanwhile; or the disk is full.
///
/// # Cancel safety
/// Dropping the future stops the downloads; the files go with the scratch directory.
pub(crate) async fn fetch(
    location: &Location,
    path: &str,
    wanted: &FileKind,
    scratch: &Scratch,
) -> Result<Vec<SourceFile>> {
    let Target::Object(at) = location.target(path)? else { return Ok(Vec::new()) };
    let bucket = Bucket::open(location, &at, &RetryPolicy::times(TRIES))?;
    let mut waiting = find(&bucket, &at, wanted).await?.into_iter().enumerate();
    let (mut running, mut files) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE
            && let Some((number, found)) = waiting.next()
        {
            let name = location.object_name(&found.path);
            let to = scratch.place(&found.partitions, wanted.extensions[0], &name)?;
            let bucket = bucket.clone();
            running.spawn(async move { downloaded(&bucket, found, to, name).await.map(|file| (number, file)) });
        }
        let Some(ended) = running.join_next().await else { break };
        files.push(ended.map_err(|error| Error::unknown("a download ended in a panic").with_source(error))??);
    }
    files.sort_by_key(|(number, _)| *number);
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

async fn downloaded(bucket: &Bucket, found: Found, to: PathBuf, name: String) -> Result<SourceFile> {
    let failed = |error| io_error("could not be copied to the scratch directory", &name, error);
    let mut file = Sink { file: private::create(&to).map_err(failed)?, name: &name };
    let size = match &found.meta {
        Some(meta) => ranges(bucket, &found.path, meta, &mut file).await?,
        None => whole(bucket, &found.path, &mut file).await?,
    };
    drop(file);
    Ok(SourceFile { path: to, name, size, partitions: found.partitions })
}

/// The object that was listed as `meta`.
async fn ranges(bucket: &Bucket, path: &ObjectPath, meta: &ObjectMeta, file: &mut Sink<'_>) -> Result<u64> {
    let mut offset = 0;
    while offset < meta.size {
        let range = offset..meta.size.min(offset + RANGE);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: strong_tag(meta, path.scheme),
            ..GetOptions::default()
        };
        let got = match bucket.store.get_opts(&meta.location, options).await {
            Ok(got) if is_same(meta, &got.meta) => got,
            Ok(_) => return Err(changed(path)),
            Err(object_store::Error::NotFound { source, .. }) if !source.to_string().contains("NoSuchBucket") => {
                return Err(changed(path));
            }
            Err(error) => return Err(bucket.failed(error, "cannot be read", path)),
        };
        let received = file.receive(bucket, path, got).await?;
        if received != range.end - range.start {
            return Err(cut_off(path));
        }
        offset = range.end;
    }
    Ok(offset)
}

/// The file of a web server, in one response: not every server has ranges.
async fn whole(bucket: &Bucket, path: &ObjectPath, file: &mut Sink<'_>) -> Result<u64> {
    let got = bucket.store.get_opts(&bucket.key(path)?, GetOptions::default()).await;
    let got = got.map_err(|error| bucket.failed(error, "cannot be read", path))?;
    let expected = got.meta.size;
    match file.receive(bucket, path, got).await? {
        received if received == expected => Ok(received),
        _ => Err(cut_off(path)),
    }
}

fn cut_off(path: &ObjectPath) -> Error {
    Error::network(format!("`{path}` cannot be read: the response was truncated"))
}

/// A file of the scratch directory.
struct Sink<'a> {
    file: File,
    name: &'a str,
}

impl Sink<'_> {
    /// Writes a response to it, and returns its size. A piece is small, and goes to the cache of the system: it does not
    /// hold up the other futures of the thread.
    async fn receive(&mut self, bucket: &Bucket, path: &ObjectPath, got: GetResult) -> Result<u64> {
        let (mut pieces, mut received) = (got.into_stream(), 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| bucket.failed(error, "cannot be read", path))?;
            self.write(&piece)?;
            received += piece.len() as u64;
        }
        Ok(received)
    }

    fn write(&mut self, piece: &[u8]) -> Result<()> {
        let written = self.file.write_all(piece);
        written.map_err(|error| io_error("could not be copied to the scratch directory", Path::new(self.name), error))
    }
}

/// The entity tag of an object, for a condition. Azure lists it without quotes.
fn strong_tag(meta: &ObjectMeta, scheme: Scheme) -> Option<String> {
    let tag = meta.e_tag.as_deref().filter(|tag| !tag.starts_with("W/"))?;
    Some(if scheme == Scheme::Az { format!("\"{}\"", tag.trim_matches('"')) } else { tag.to_owned() })
}

/// Whether both are the same version of an object.
fn is_same(listed: &ObjectMeta, read: &ObjectMeta) -> bool {
    let tag = |meta: &ObjectMeta| meta.e_tag.as_deref().map(|tag| tag.trim_matches('"').to_owned());
    let is_same = match (tag(listed), tag(read)) {
        (Some(listed), Some(read)) => listed == read,
        _ => listed.last_modified == read.last_modified,
    };
    is_same && listed.size == read.size
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};

    use super::*;

    #[tokio::test]
    async fn an_object_that_is_replaced_after_it_was_listed_is_an_error_that_can_be_retried() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = ObjectPath::parse(Scheme::S3, "lake/a.csv").unwrap();
        let bucket = Bucket { store, is_anonymous: true };
        let key = bucket.key(&path).unwrap();
        let put = |text: &'static str| bucket.store.put(&key, PutPayload::from_static(text.as_bytes()));
        put("a\n1\n").await.unwrap();
        let meta = bucket.store.head(&key).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("a.csv");
        let mut file = Sink { file: private::create(&to).unwrap(), name: "a.csv" };
        assert_eq!(ranges(&bucket, &path, &meta, &mut file).await.unwrap(), 4);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "a\n1\n");
        put("a\n2\n").await.unwrap();
        let error = ranges(&bucket, &path, &meta, &mut file).await.unwrap_err();
        assert_eq!(error.code(), osiris_core::Code::SourceChanged);
        assert!(error.is_retryable());
        bucket.store.delete(&key).await.unwrap();
        assert!(ranges(&bucket, &path, &meta, &mut file).await.unwrap_err().is_retryable());
    }
}

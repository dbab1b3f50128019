//! Finds the objects of a path: one, those of a prefix, or those that match a pattern.

use futures::StreamExt as _;
use globset::GlobBuilder;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use osiris_core::problem::nearest;
use osiris_core::{Code, Error, ErrorKind, Result};
use std::path::Path;

use super::address::ObjectPath;
use super::error::missing;
use super::store::Bucket;
use crate::client::{FileKind, Partition, is_hidden, partitions};

/// How many names a message shows.
const SHOWN: usize = 5;

/// An object to read.
pub(super) struct Found {
    /// Its address.
    pub(super) path: ObjectPath,
    /// What the store says of it; a web server is not asked before it is read.
    pub(super) meta: Option<ObjectMeta>,
    /// The `name=value` parts of its key below the prefix.
    pub(super) partitions: Vec<Partition>,
}

/// The objects of `path`, sorted by key. Below a prefix only those that match `wanted` are used, and none with a part
/// that begins with `.` or `_`.
///
/// # Errors
/// When there is none, or the store cannot be asked.
pub(super) async fn find(bucket: &Bucket, path: &ObjectPath, wanted: &FileKind) -> Result<Vec<Found>> {
    let (fixed, pattern) = split_glob(&path.key);
    if path.scheme.is_web() {
        if pattern.is_some() || path.is_prefix {
            return Err(Error::validation(format!("`{path}` names several files, and a web server has no listing"))
                .with_hint("name one file: `https://HOST/FILE`"));
        }
        return Ok(vec![Found { path: path.clone(), meta: None, partitions: Vec::new() }]);
    }
    if let Some(pattern) = pattern {
        return glob(bucket, path, &path.sibling(fixed), pattern).await;
    }
    if !path.is_prefix
        && let Some(meta) = head(bucket, path).await?
    {
        return Ok(vec![Found { path: path.clone(), meta: Some(meta), partitions: Vec::new() }]);
    }
    prefix(bucket, path, wanted).await
}

/// The object itself, if it exists.
async fn head(bucket: &Bucket, path: &ObjectPath) -> Result<Option<ObjectMeta>> {
    match bucket.store.head(&bucket.key(path)?).await {
        Ok(meta) => Ok(Some(meta)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => {
            let error = bucket.failed(error, "cannot be read", path);
            // The answer to HEAD has no text that says why; that to a listing has.
            let is_vague = matches!(error.kind(), ErrorKind::Permission | ErrorKind::Unknown);
            match first(bucket, path).await {
                Err(better) if is_vague && matches!(better.kind(), ErrorKind::Auth | ErrorKind::Validation) => {
                    Err(better)
                }
                _ => Err(error),
            }
        }
    }
}

/// The first object below a prefix.
pub(super) async fn first(bucket: &Bucket, prefix: &ObjectPath) -> Result<Option<ObjectMeta>> {
    let key = bucket.key(prefix)?;
    let found = bucket.store.list(Some(&key)).next().await;
    found.transpose().map_err(|error| bucket.failed(error, "cannot be listed", prefix))
}

async fn prefix(bucket: &Bucket, root: &ObjectPath, wanted: &FileKind) -> Result<Vec<Found>> {
    let listed = Listing::read(bucket, root, |below| wanted.matches(Path::new(below))).await?;
    if !listed.found.is_empty() {
        return Ok(listed.found);
    }
    if listed.others.is_empty() {
        return Err(match root.is_prefix {
            true => missing(root).with_hint("no key begins with it"),
            false => missing_key(bucket, root).await,
        });
    }
    Err(Error::validation(format!("`{root}/` has no {} file", wanted.name))
        .with_code(Code::FileNotFound)
        .with_hint(format!("it has {}; use a glob for files with other extensions", listed.others())))
}

/// The error of an object that is not there, with what is beside it.
async fn missing_key(bucket: &Bucket, path: &ObjectPath) -> Error {
    let (parent, name) = path.key.rsplit_once('/').unwrap_or(("", &path.key));
    let parent = path.sibling(parent);
    let Ok(listed) = Listing::read(bucket, &parent, |_| false).await else { return missing(path) };
    match nearest(name, listed.others.iter().map(String::as_str)) {
        Some(similar) => missing(path).with_hint(format!("did you mean `{similar}`?")),
        None if listed.others.is_empty() => missing(path).with_hint(format!("`{parent}` is empty")),
        None => missing(path).with_hint(format!("`{parent}` has {}", listed.others())),
    }
}

async fn glob(bucket: &Bucket, path: &ObjectPath, fixed: &ObjectPath, pattern: &str) -> Result<Vec<Found>> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
        Error::validation(format!("`{path}` is not a valid glob"))
            .with_source(error)
            .with_hint("write `*`, `?`, `[abc]`, `{a,b}`, or `**` for any directories")
    })?;
    let matcher = glob.compile_matcher();
    let listed = Listing::read(bucket, fixed, |below| matcher.is_match(below)).await?;
    if !listed.found.is_empty() {
        return Ok(listed.found);
    }
    // A key may have such characters in its name.
    if let Ok(Some(meta)) = head(bucket, path).await {
        return Ok(vec![Found { path: path.clone(), meta: Some(meta), partitions: Vec::new() }]);
    }
    let error = Error::validation(format!("no object matches `{path}`")).with_code(Code::FileNotFound);
    Err(error.with_hint(match listed.others.is_empty() {
        true => format!("`{fixed}` is empty"),
        false => format!("`{fixed}` has {}", listed.others()),
    }))
}

/// The objects below a prefix.
#[derive(Default)]
struct Listing {
    found: Vec<Found>,
    /// The names of some of the others.
    others: Vec<String>,
    more: bool,
}

impl Listing {
    async fn read(bucket: &Bucket, root: &ObjectPath, is_wanted: impl Fn(&str) -> bool + Send) -> Result<Self> {
        let mut listing = Self::default();
        let key = bucket.key(root)?;
        let mut objects = bucket.store.list(Some(&key));
        while let Some(object) = objects.next().await {
            let meta = object.map_err(|error| bucket.failed(error, "cannot be listed", root))?;
            let path = root.sibling(meta.location.as_ref());
            let Some(below) = root.below(&path.key).filter(|below| !below.split('/').any(is_hidden)) else { continue };
            if is_wanted(below) {
                let partitions = partitions(Path::new(below), Path::new(""));
                listing.found.push(Found { path, meta: Some(meta), partitions });
            } else if listing.others.len() < SHOWN {
                listing.others.push(below.to_owned());
            } else {
                listing.more = true;
            }
        }
        listing.found.sort_by(|a, b| a.path.key.cmp(&b.path.key));
        Ok(listing)
    }

    fn others(&self) -> String {
        let names: Vec<String> = self.others.iter().map(|name| format!("`{name}`")).collect();
        format!("{}{}", names.join(", "), if self.more { " and more" } else { "" })
    }
}

/// The part of a key before its first wildcard, and the rest as a pattern below it.
fn split_glob(key: &str) -> (&str, Option<&str>) {
    let Some(wild) = key.find(['*', '?', '[', '{']) else { return (key, None) };
    match key[..wild].rfind('/') {
        Some(slash) => (&key[..slash], Some(&key[slash + 1..])),
        None => ("", Some(key)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::{ObjectStore, PutPayload};

    use super::*;
    use crate::csv::CSV_FILES;
    use crate::objects::address::Scheme;

    async fn bucket(keys: &[&str]) -> Bucket {
        let store = InMemory::new();
        for key in keys {
            store.put(&object_store::path::Path::from(*key), PutPayload::from_static(b"a\n1\n")).await.unwrap();
        }
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        Bucket { store, is_anonymous: true }
    }

    async fn found(bucket: &Bucket, key: &str) -> Result<Vec<String>> {
        let path = ObjectPath::parse(Scheme::S3, &format!("lake/{key}")).unwrap();
        Ok(find(bucket, &path, &CSV_FILES).await?.into_iter().map(|found| found.path.key).collect())
    }

    #[tokio::test]
    async fn a_path_is_an_object_a_prefix_or_a_pattern() {
        let bucket =
            bucket(&["in/b.csv", "in/a.csv", "in/deep/c.csv.gz", "in/_tmp/d.csv", "in/x.parquet", "inn/e.csv"]).await;
        assert_eq!(found(&bucket, "in/a.csv").await.unwrap(), ["in/a.csv"]);
        for prefix in ["in", "in/"] {
            assert_eq!(found(&bucket, prefix).await.unwrap(), ["in/a.csv", "in/b.csv", "in/deep/c.csv.gz"]);
        }
        assert_eq!(found(&bucket, "in/*.csv").await.unwrap(), ["in/a.csv", "in/b.csv"]);
        assert_eq!(found(&bucket, "**/*.csv").await.unwrap(), ["in/a.csv", "in/b.csv", "inn/e.csv"]);
        assert_eq!(found(&bucket, "in/{a,x}.*").await.unwrap(), ["in/a.csv", "in/x.parquet"]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_an_error_that_names_what_is() {
        let bucket = bucket(&["in/orders.csv", "in/x.parquet"]).await;
        for (key, message, hint) in [
            ("in/order.csv", "`s3://lake/in/order.csv` does not exist", "did you mean `orders.csv`?"),
            ("in/*.jsonl", "no object matches `s3://lake/in/*.jsonl`", "`s3://lake/in` has `orders.csv`, `x.parquet`"),
            ("out/", "`s3://lake/out` does not exist", "no key begins with it"),
            ("in/*.{", "`s3://lake/in/*.{` is not a valid glob", "write `*`"),
        ] {
            let error = found(&bucket, key).await.unwrap_err();
            assert_eq!(error.message(), message);
            assert!(error.hint().unwrap().contains(hint), "{key}: {:?}", error.hint());
        }
    }

    #[tokio::test]
    async fn partitions_are_read_from_keys() {
        let bucket = bucket(&["t/year=2024/a.csv", "t/year=__HIVE_DEFAULT_PARTITION__/b.csv"]).await;
        let path = ObjectPath::parse(Scheme::S3, "lake/t/**/*.csv").unwrap();
        let found = find(&bucket, &path, &CSV_FILES).await.unwrap();
        let values: Vec<_> = found.iter().map(|found| found.partitions[0].value.as_deref()).collect();
        assert_eq!(values, [Some("2024"), None]);
    }
}

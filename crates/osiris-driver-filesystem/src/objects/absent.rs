//! What takes the place of the object stores in a build without the feature `object-store`. Locations refuse every
//! address of a store there, so none of this is reached.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use osiris_core::{CommitOutcome, Error, ExecutionContext, Health, Result};

use super::{ObjectPath, WrittenObject};
use crate::client::{FileKind, Location, SourceFile};
use crate::commit::NotPublished;
use crate::scratch::Scratch;

fn absent() -> Error {
    Error::validation("this build has no object stores").with_hint("build it with the feature `object-store`")
}

pub(crate) async fn fetch(_: &Location, _: &str, _: &FileKind, _: &Scratch) -> Result<Vec<SourceFile>> {
    Ok(Vec::new())
}

pub(crate) async fn check(_: &Location, _: &ObjectPath, _: Duration) -> Health {
    Health::failed(Duration::ZERO, &absent())
}

pub(crate) async fn outcome(_: &Location, _: &[WrittenObject]) -> Result<CommitOutcome> {
    Err(absent())
}

/// There is none.
pub(crate) struct Upload(Infallible);

impl Upload {
    pub(crate) fn new(_: &Location, _: &ObjectPath, _: PathBuf, _: bool) -> Result<Self> {
        Err(absent())
    }

    pub(crate) fn written(&self) -> WrittenObject {
        match self.0 {}
    }

    pub(crate) async fn send(&mut self, _: &ExecutionContext) -> Result<()> {
        match self.0 {}
    }

    pub(crate) async fn complete(&mut self) -> Result<(), NotPublished> {
        match self.0 {}
    }

    pub(crate) async fn take_back(&self) -> bool {
        match self.0 {}
    }
}

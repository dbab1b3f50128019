//! What is found in a directory of files, and whether it is there.

use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use async_trait::async_trait;
use osiris_core::{Catalog, Error, Family, Health, Resource, ResourceField, ResourceKind, Result};

use super::extract::Reader;
use super::{Flaw, LinesConnection, reach};

/// The family.
pub(crate) struct Lines {
    flaw: Option<Flaw>,
}

impl Lines {
    pub(crate) fn new(flaw: Option<Flaw>) -> Self {
        Self { flaw }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

#[async_trait]
impl Family for Lines {
    const NAME: &'static str = "lines";
    const HAS_DISCOVERY: bool = true;
    const HAS_DOCTOR: bool = true;
    type Connection = LinesConnection;

    async fn discover(&self, connection: &LinesConnection, _: Option<&str>) -> Result<Catalog> {
        let mut resources = Vec::new();
        for entry in std::fs::read_dir(&connection.directory)? {
            let entry = entry?;
            let lines = BufReader::new(File::open(entry.path())?);
            let mut reader = Reader { lines, number: 0, flaw: None };
            let Ok(Some(columns)) = reader.next() else { continue };
            let field = |(index, name): (usize, Option<String>)| ResourceField {
                name: name.unwrap_or_default(),
                ordinal: if self.has(Flaw::ForgetsFields) { 1 } else { u32::try_from(index).unwrap() + 1 },
                field_type: "string".to_owned(),
                native_type: "text".to_owned(),
                nullable: true,
                primary_key: false,
                max_length: None,
            };
            resources.push(Resource {
                name: entry.file_name().to_string_lossy().into_owned(),
                kind: ResourceKind::Table,
                estimated_row_count: None,
                estimated_size_mb: None,
                fields: columns.into_iter().enumerate().map(field).collect(),
            });
        }
        if self.has(Flaw::FindsNothing) {
            resources.clear();
        }
        let mut catalog = Catalog::new(resources);
        if self.has(Flaw::SortsNothing) {
            catalog.resources.reverse();
            catalog.resources.iter_mut().for_each(|resource| resource.fields.reverse());
            catalog.fingerprint.clear();
        }
        Ok(catalog)
    }

    async fn check(&self, connection: &LinesConnection, _: Duration) -> Health {
        match reach(connection, self.flaw) {
            Err(error) if !self.has(Flaw::AnswersForBrokenConnections) => {
                let unknown = self.has(Flaw::CallsEveryFaultUnknown);
                Health::failed(Duration::ZERO, &if unknown { Error::unknown("something is wrong") } else { error })
            }
            _ => Health::ok(Duration::ZERO, "the directory is there"),
        }
    }
}

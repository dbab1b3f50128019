//! Whether a file can be read, by its header and its catalog.

use std::path::Path;
use std::time::{Duration, Instant};

use osiris_core::{Error, Health, Result};

use crate::client::{Access, Connect, Target};
use crate::config::ConnectionConfig;

const DOING: &str = "checking the file";

/// Opens the file and reads its catalog within `limit`.
pub(crate) async fn check(connect: &Connect, connection: &ConnectionConfig, limit: Duration) -> Health {
    let started = Instant::now();
    let access = if connection.create_if_missing && !connection.read_only { Access::Check } else { Access::Read };
    let target = Target::new(connection, Path::new("."), access);
    let path = target.path.display().to_string();
    let limit = limit.mul_f64(0.9);
    let health = tokio::time::timeout(limit, details(connect, target)).await.unwrap_or_else(|_| {
        Err(Error::timeout(format!("the file did not open within {} ms", limit.as_millis()))
            .with_hint("see whether another program has it open for writing"))
    });
    let health = match health {
        Ok(details) => {
            let missing = if Path::new(&path).exists() { "" } else { "; it does not exist: a writer creates it" };
            let ok = Health::ok(started.elapsed(), format!("the file can be read{missing}"));
            details.into_iter().fold(ok, |health, (name, value)| health.with_detail(name, value))
        }
        Err(error) => Health::failed(started.elapsed(), &error),
    };
    health.with_detail("path", path)
}

async fn details(connect: &Connect, target: Target) -> Result<Vec<(&'static str, String)>> {
    let mut client = connect(target).await?;
    let mut details = Vec::new();
    for (name, sql) in [
        ("duckdb_version", "SELECT version()"),
        ("tables", "SELECT count(*) FROM duckdb_tables() WHERE NOT internal"),
        (
            "storage_version",
            "SELECT coalesce(max(tags['storage_version']), '') FROM duckdb_databases() WHERE database_name = current_database()",
        ),
    ] {
        let value = client.row(sql, DOING).await?.into_iter().next().flatten();
        details.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
    }
    client.close().await;
    Ok(details)
}

//! Opening a file: whether it may be, with which settings, and waiting for other programs.

use std::path::Path;
use std::time::{Duration, Instant};

use duckdb::{AccessMode, Config, Connection};
use osiris_core::store::BatchLoader;
use osiris_core::{Error, Result};

use super::in_process::Hold;
use super::room::Room;
use super::{Access, Held, Target, real_path};
use crate::error::{file_error, is_locked};

/// How long to wait before asking again for a file that another program has open.
const BETWEEN: Duration = Duration::from_millis(50);

impl Target {
    /// Whether the file is opened, and not an empty database in memory.
    ///
    /// # Errors
    /// The file is missing or is not one, or the connection is read-only.
    fn is_file(&self) -> Result<bool> {
        let path = self.path.display();
        if self.read_only && self.access != Access::Read {
            return Err(Error::permission(format!("the connection to `{path}` is read-only"))
                .with_hint("remove `read_only` from the connection, or use another one"));
        }
        if self.path.is_dir() {
            return Err(Error::validation(format!("`{path}` is a directory")).with_hint("set `path` to a file"));
        }
        let creates = self.create && matches!(self.access, Access::Write | Access::Check);
        match self.path.exists() {
            true => Ok(true),
            false if creates => self.check_directory().map(|()| self.access == Access::Write),
            false => Err(Error::validation(format!("there is no file `{path}`"))
                .with_hint("check `path`; for a writer, `create_if_missing: true` in the connection creates the file")),
        }
    }

    fn check_directory(&self) -> Result<()> {
        let directory = self.path.parent().filter(|directory| !directory.as_os_str().is_empty());
        match directory.filter(|directory| !directory.is_dir()) {
            None => Ok(()),
            Some(missing) => Err(Error::validation(format!("there is no directory `{}`", missing.display()))
                .with_hint("check `path`, or make the directory")),
        }
    }
}

/// Opens the file of `target` as soon as nobody else stands in the way.
pub(super) async fn open(target: Target) -> Result<Held> {
    if !target.is_file()? {
        let room = target.room;
        let connection = in_background(move || connection(None, Access::Write, &room)).await?;
        return Ok(Held { connection, hold: None, at_work: target.at_work });
    }
    // An absolute path has no prefix that DuckDB could take for another kind of database.
    let path = std::path::absolute(real_path(&target.path))?;
    let mut hold = match target.access {
        Access::Write => Hold::alone(&path).await,
        Access::Read | Access::Check | Access::Ask => Hold::shared(&path).await,
    };
    let deadline = Instant::now() + target.busy_timeout;
    let Target { access, room, at_work, .. } = target;
    loop {
        let (file, room) = (path.clone(), room.clone());
        let attempt = in_background(move || {
            let mut hold = hold;
            let opened = hold.connect(|| connection(Some(&file), access, &room));
            Ok((hold, opened))
        });
        let opened;
        (hold, opened) = attempt.await?;
        match opened {
            Ok(connection) => {
                let connection = connection.map_err(|error| file_error(error, "opening the file"))?;
                return Ok(Held { connection, hold: Some(hold), at_work });
            }
            Err(error) if is_locked(&error) && Instant::now() < deadline => tokio::time::sleep(BETWEEN).await,
            Err(error) => return Err(error),
        }
    }
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let failed = |error| Error::unknown("opening a file ended in a panic").with_source(error);
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// A connection to the file, or to an empty database, that reaches nothing else and whose settings are locked.
fn connection(path: Option<&Path>, access: Access, room: &Room) -> Result<Connection> {
    let doing = path.map_or_else(|| "opening a database".to_owned(), |path| format!("opening `{}`", path.display()));
    let failed = |error| file_error(error, &doing);
    let config = settings(access, room).map_err(failed)?;
    let connection = match path {
        Some(path) => Connection::open_with_flags(path, config),
        None => Connection::open_in_memory_with_flags(config),
    };
    let connection = connection.map_err(failed)?;
    // There is no such setting without the extension that knows zones; DuckDB has UTC then.
    let _ = connection.execute_batch("SET GLOBAL TimeZone = 'UTC'");
    if access == Access::Write {
        BatchLoader::prepare(&connection)?;
    }
    connection.execute_batch("SET GLOBAL lock_configuration = true").map_err(failed)?;
    Ok(connection)
}

fn settings(access: Access, room: &Room) -> duckdb::Result<Config> {
    let mode = if access == Access::Write { AccessMode::ReadWrite } else { AccessMode::ReadOnly };
    let config = Config::default().access_mode(mode)?.enable_autoload_extension(false)?;
    // The directory to spill into before the way outside is closed: DuckDB refuses it afterwards.
    room.limit(config)?.with("errors_as_json", "true")?.enable_external_access(false)
}

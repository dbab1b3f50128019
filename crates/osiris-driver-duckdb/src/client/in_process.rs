//! Who has a file open in this process. DuckDB's lock on a file is one of the process: it keeps other programs out, not a second
//! instance in this one, whose changes the first would not see; and the first that is closed gives up the lock of both. So there is
//! one instance of a file: that of a writer alone, or one that readers share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use duckdb::Connection;
use osiris_core::Result;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The files that are open.
static FILES: LazyLock<Mutex<HashMap<PathBuf, Weak<OpenFile>>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct OpenFile {
    lock: Arc<RwLock<()>>,
    readers: Mutex<Readers>,
}

/// The instance that readers share, and how many they are.
#[derive(Default)]
struct Readers {
    count: usize,
    root: Option<Connection>,
}

impl OpenFile {
    fn of(path: &Path) -> Arc<Self> {
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, file| file.strong_count() > 0);
        if let Some(file) = files.get(path).and_then(Weak::upgrade) {
            return file;
        }
        let file = Arc::<Self>::default();
        files.insert(path.to_path_buf(), Arc::downgrade(&file));
        file
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have a file open, for as long as this is kept: drop connections first.
pub(super) enum Hold {
    /// Together with other readers.
    Shared(SharedHold),
    /// Alone.
    Alone { _hold: AloneHold },
}

pub(super) struct SharedHold {
    file: Arc<OpenFile>,
    is_counted: bool,
    _lock: OwnedRwLockReadGuard<()>,
}

pub(super) struct AloneHold {
    // The file is known as long as somebody has it open.
    _file: Arc<OpenFile>,
    _lock: OwnedRwLockWriteGuard<()>,
}

impl Hold {
    /// Waits until nobody in this process writes to the file.
    pub(super) async fn shared(path: &Path) -> Self {
        let file = OpenFile::of(path);
        let lock = Arc::clone(&file.lock).read_owned().await;
        Self::Shared(SharedHold { file, is_counted: false, _lock: lock })
    }

    /// Waits until nobody in this process has the file open.
    pub(super) async fn alone(path: &Path) -> Self {
        let file = OpenFile::of(path);
        let lock = Arc::clone(&file.lock).write_owned().await;
        Self::Alone { _hold: AloneHold { _file: file, _lock: lock } }
    }

    /// A connection of the instance that is there, else of the one that `open` opens.
    pub(super) fn connect(&mut self, open: impl FnOnce() -> Result<Connection>) -> Result<duckdb::Result<Connection>> {
        match self {
            Self::Alone { .. } => open().map(Ok),
            Self::Shared(hold) => hold.connect(open),
        }
    }
}

impl SharedHold {
    fn connect(&mut self, open: impl FnOnce() -> Result<Connection>) -> Result<duckdb::Result<Connection>> {
        let mut readers = self.file.readers();
        let root = match readers.root.take() {
            Some(root) => root,
            None => open()?,
        };
        let connection = root.try_clone();
        readers.root = Some(root);
        if !self.is_counted {
            readers.count += 1;
            self.is_counted = true;
        }
        Ok(connection)
    }
}

impl Drop for SharedHold {
    fn drop(&mut self) {
        if self.is_counted {
            // Closed while nobody else can open it.
            let mut readers = self.file.readers();
            readers.count -= 1;
            if readers.count == 0 {
                readers.root = None;
            }
        }
    }
}

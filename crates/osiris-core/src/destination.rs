//! The destination of a writer, in a form that can be compared: two steps that write to the same destination are
//! detected before either has written a row, however it is spelt.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The kind of destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DestinationKind {
    File,
    Directory,
    Stream,
    Table,
}

/// The identity of a destination.
///
/// Paths are compared as they are given: resolved, without `..`, links or relative parts. A table is identified by
/// every name of its server that the connection has, since two steps may use different protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationId {
    kind: DestinationKind,
    path: Option<PathBuf>,
    names: Vec<String>,
    shown: String,
    field: &'static str,
    replaces: bool,
    folds_case: bool,
}

impl DestinationId {
    /// A file at a resolved path.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::at_path(DestinationKind::File, path.into())
    }

    /// A directory that is the writer's own, with everything below it, at a resolved path.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::at_path(DestinationKind::Directory, path.into())
    }

    fn at_path(kind: DestinationKind, path: PathBuf) -> Self {
        let shown = path.display().to_string();
        Self { kind, path: Some(path), names: Vec::new(), shown, field: "path", replaces: false, folds_case: true }
    }

    /// The standard output of the process.
    pub fn standard_output() -> Self {
        let shown = "the standard output".to_owned();
        Self {
            kind: DestinationKind::Stream,
            path: None,
            names: vec![shown.clone()],
            shown,
            field: "path",
            replaces: false,
            folds_case: false,
        }
    }

    /// A table, by the names that its server (and database, where a server has several) is known by, best first, and
    /// its own name with its schema.
    pub fn table<S: Into<String>>(servers: impl IntoIterator<Item = S>, table: &str) -> Self {
        let servers: Vec<String> = servers.into_iter().map(Into::into).collect();
        let shown = match servers.first() {
            Some(server) => format!("{table} on {server}"),
            None => table.to_owned(),
        };
        let names = servers.iter().map(|server| format!("{server}\n{table}")).collect();
        Self {
            kind: DestinationKind::Table,
            path: None,
            names,
            shown,
            field: "table",
            replaces: false,
            folds_case: false,
        }
    }

    /// The field of the configuration that names it, for messages. Default: `path` or `table`.
    #[must_use]
    pub fn named_by(mut self, field: &'static str) -> Self {
        self.field = field;
        self
    }

    /// Whether existing data is replaced, including what another step has written.
    #[must_use]
    pub fn replaced(mut self, replaces: bool) -> Self {
        self.replaces = replaces;
        self
    }

    /// Says that names which differ only by case may be the same, as the server is set up. Files are so by themselves: a
    /// file system may be.
    #[must_use]
    pub fn folding_case(mut self) -> Self {
        self.folds_case = true;
        self
    }

    /// A server by host and port, in a normalized form: all names of this machine are equal.
    pub fn server(host: &str, port: u16) -> String {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        // To connect to no address in particular is to connect to this machine.
        let is_here = |ip: IpAddr| ip.to_canonical().is_loopback() || ip.to_canonical().is_unspecified();
        // RFC 6761: whatever ends with `.localhost` is this machine.
        let is_local = host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_here);
        format!("{}:{port}", if is_local { "localhost" } else { &host })
    }

    /// The names of the server of a table, with its database where those of a server do not see each other.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| Some(name.split_once('\n')?.0))
    }

    /// Whether one may change rows that the other writes.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (&self.path, &other.path) {
            (Some(ours), Some(theirs)) => ours == theirs || self.contains(theirs) || other.contains(ours),
            _ => self.names.iter().any(|name| other.names.contains(name)),
        }
    }

    /// The same in lower case where names that differ only by case may be [the same](Self::folding_case): two destinations may be the
    /// same one if these are.
    #[must_use]
    pub fn folded(&self) -> Self {
        if !self.folds_case {
            return self.clone();
        }
        Self {
            path: self.path.as_ref().map(|path| PathBuf::from(path.to_string_lossy().to_lowercase())),
            names: self.names.iter().map(|name| name.to_lowercase()).collect(),
            ..self.clone()
        }
    }

    fn contains(&self, path: &Path) -> bool {
        self.kind == DestinationKind::Directory
            && self.path.as_deref().is_some_and(|directory| path.starts_with(directory))
    }

    /// Whether existing data is replaced.
    pub fn replaces(&self) -> bool {
        self.replaces
    }

    /// Whether only one step can write it at a time; a database coordinates its writers itself.
    pub fn has_one_writer(&self) -> bool {
        self.kind != DestinationKind::Table
    }

    /// The field of the configuration that names it.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// `file`, `directory`, `stream` or `table`.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            DestinationKind::File => "file",
            DestinationKind::Directory => "directory",
            DestinationKind::Stream => "stream",
            DestinationKind::Table => "table",
        }
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_all_that_is_below_it() {
        let directory = DestinationId::directory("/out/parts");
        assert!(directory.is_same_as(&DestinationId::file("/out/parts/part-00001.csv")));
        assert!(DestinationId::file("/out/parts/part-00001.csv").is_same_as(&directory));
        assert!(!directory.is_same_as(&DestinationId::file("/out/parts.csv")));
        assert!(!DestinationId::file("/out").is_same_as(&DestinationId::file("/out/a")));
    }

    #[test]
    fn a_table_is_known_by_any_name_of_its_server() {
        let both = DestinationId::table(["https://h", "localhost:5432/db"], "public.t");
        assert!(both.is_same_as(&DestinationId::table(["localhost:5432/db"], "public.t")));
        assert!(!both.is_same_as(&DestinationId::table(["localhost:5432/db"], "public.u")));
        assert!(!both.is_same_as(&DestinationId::table(["localhost:5433/db"], "public.t")));
        assert_eq!(both.to_string(), "public.t on https://h");
        assert_eq!(both.servers().collect::<Vec<_>>(), ["https://h", "localhost:5432/db"]);
        assert_eq!(DestinationId::standard_output().servers().count(), 0);
    }

    #[test]
    fn names_that_differ_by_case_may_be_the_same_where_the_destination_says_so() {
        let table = |name| DestinationId::table(["h:1"], name);
        assert!(!table("s.Items").folded().is_same_as(&table("s.items").folded()));
        assert!(table("s.Items").folding_case().folded().is_same_as(&table("s.items").folding_case().folded()));
        assert!(DestinationId::file("/out/Items").folded().is_same_as(&DestinationId::file("/out/items").folded()));
        assert!(!DestinationId::file("/out/Items").is_same_as(&DestinationId::file("/out/items")));
    }

    #[test]
    fn one_server_has_one_spelling() {
        let hosts =
            ["localhost", "127.0.0.1", "[::1]", "LOCALHOST.", "db.localhost", "::ffff:127.0.0.1", "0.0.0.0", "[::]"];
        let names = hosts.map(|host| DestinationId::server(host, 1));
        assert!(names.iter().all(|name| name == "localhost:1"), "{names:?}");
        assert_eq!(DestinationId::server("DB.Example.com.", 2), "db.example.com:2");
    }
}

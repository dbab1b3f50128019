//! The configuration of the components. The doc comments end up in the component reference. Nothing here
//! does I/O.

mod arrow;
mod csv;
mod excel;
mod json;
mod jsonl;
mod parquet;

use osiris_core::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

pub use arrow::{ArrowCompression, ArrowExtractorConfig, ArrowWriterConfig};
pub use csv::{
    AddFilename, AllText, ColumnOrder, CsvExtractorConfig, CsvWriterConfig, Dtype, Header, Newline, OnBadLines,
    ParseDates, Quoting, ReadCompression, WriteColumns, WriteCompression,
};
pub use excel::{ExcelExtractorConfig, Sheet, SheetHeader};
pub use json::{JsonExtractorConfig, JsonWriterConfig};
pub use jsonl::{JsonlExtractorConfig, JsonlWriterConfig, Nulls};
pub use parquet::{ParquetCompression, ParquetExtractorConfig, ParquetWriterConfig};

/// The base directory of paths, and how object stores are reached. Credentials are never taken from the environment: a
/// connections file names variables as `${AWS_SECRET_ACCESS_KEY}`. Without them, requests are anonymous.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesystemConnection {
    /// The directory that all paths of the step are relative to and must stay in: a path outside it, by `..`, by a
    /// symbolic link or as an absolute path, is refused. Relative to the pipeline file. Or a prefix of an object store,
    /// such as `s3://bucket/prefix/`, that all keys begin with. A step that also sets it uses a directory below the
    /// connection's. Default: paths are relative to the pipeline file and not restricted.
    #[serde(default)]
    #[schemars(extend("x-aliases" = ["root"], "x-override" = "narrowed"))]
    pub base_dir: Option<BaseDir>,
    /// The region of `s3://` buckets, such as `eu-central-1`. Default `us-east-1`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub region: Option<String>,
    /// The address of a server that is compatible with S3, Google Cloud Storage or Azure, such as
    /// `https://minio.example.com:9000`; the bucket follows it as a part of the path. Default: that of the vendor.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub endpoint: Option<String>,
    /// Whether unencrypted connections are allowed: an `endpoint` or an address that begins with `http://`. Default
    /// `false`.
    #[serde(default)]
    #[schemars(extend("x-override" = "address", "x-source" = false))]
    pub allow_http: bool,
    /// A PEM file with the certificate authorities to trust instead of the operating system's. Default: none. A
    /// relative path starts at the pipeline file.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub ssl_ca: Option<String>,
    /// The id of the access key for `s3://`. Default: none.
    #[serde(default)]
    #[schemars(length(min = 1), extend("x-override" = "address", "x-source" = false))]
    pub access_key_id: Option<String>,
    /// The access key for `s3://`. Default: none; requests are anonymous.
    #[serde(default)]
    pub secret_access_key: Option<Secret>,
    /// The token of temporary credentials for `s3://`. Default: none.
    #[serde(default)]
    pub session_token: Option<Secret>,
    /// The JSON of a service account's key for `gs://`, as the console of Google downloads it. Default: none; requests are
    /// anonymous.
    #[serde(default)]
    pub service_account: Option<Secret>,
    /// The storage account of `az://` containers. Default: none.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub account: Option<String>,
    /// The access key of the storage account for `az://`. Default: none; requests are anonymous.
    #[serde(default)]
    pub access_key: Option<Secret>,
    /// A shared access signature for `az://`, instead of the access key. Default: none.
    #[serde(default)]
    pub sas_token: Option<Secret>,
}

/// A directory, or several, each below the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BaseDir {
    /// One.
    One(String),
    /// From the outermost to the innermost.
    Nested(Vec<String>),
}

impl BaseDir {
    /// Whether it is a prefix of an object store.
    pub fn is_in_store(&self) -> bool {
        self.directories()
            .first()
            .is_some_and(|outermost| outermost.contains("://") && !outermost.starts_with("file://"))
    }

    /// The directories, from the outermost to the innermost.
    pub fn directories(&self) -> &[String] {
        match self {
            Self::One(directory) => std::slice::from_ref(directory),
            Self::Nested(directories) => directories,
        }
    }
}

/// Whether the rows of a file are copied into the run's database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Materialize {
    /// They are read where they lie.
    #[default]
    View,
    /// They are copied.
    Table,
}

/// Why a file has no `upsert`.
const NO_KEYS: &str = "a file has no key by which a row could be found and replaced";

/// Why no line of a file is left out without a trace.
const NOT_DROPPED: &str = "no line is dropped: `reject` with `max_rejects` keeps bad lines in the rejects of the run";

/// How to handle an existing file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(from = "ModeName")]
pub enum WriteMode {
    /// It is replaced atomically.
    #[default]
    Overwrite,
    /// Rows are appended to it.
    Append,
}

/// How to handle an existing file to which no rows can be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplaceMode {
    /// It is replaced atomically.
    #[default]
    Overwrite,
    /// Alias of `overwrite`.
    Replace,
}

/// The write mode, with the names of all writers.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ModeName {
    /// The file is replaced atomically.
    Overwrite,
    /// Alias of `overwrite`.
    Replace,
    /// Rows are appended to the file.
    Append,
    /// Alias of `append`.
    Insert,
}

impl From<ModeName> for WriteMode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Overwrite | ModeName::Replace => Self::Overwrite,
            ModeName::Append | ModeName::Insert => Self::Append,
        }
    }
}

fn yes() -> bool {
    true
}

fn as_in_the_table() -> WriteColumns {
    WriteColumns::Order(ColumnOrder::Source)
}

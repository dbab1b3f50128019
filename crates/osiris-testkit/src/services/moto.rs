//! An imitation of S3, [moto](https://docs.getmoto.org/en/latest/docs/server_mode.html). It keeps buckets, objects and
//! uploads in memory as S3 does, with conditions and ranges. It checks no signature and no right: tests of credentials
//! need the vendor's.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::guardian::Guardian;
use super::template::services_dir;
use crate::skipped::is_skipped;

/// A program of one's own.
const PROGRAM: &str = "OSIRIS_TEST_MOTO_PROGRAM";
/// The version that `cargo xtask test-drivers --services required` fetches.
const VERSION: &str = "5.2.5";
const PATIENCE: Duration = Duration::from_secs(60);
/// What is not encoded in a key.
const IN_KEYS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A store with one bucket, `lake`. Ends when dropped, or with the process.
pub struct Moto {
    guardian: Guardian,
    directory: PathBuf,
    address: SocketAddr,
}

impl Moto {
    /// Its bucket.
    pub const BUCKET: &str = "lake";

    /// A store. `None` when tests that need it are left out.
    ///
    /// # Errors
    /// When the program is not there or does not start.
    pub async fn start() -> Result<Option<Self>> {
        if skipped() {
            return Ok(None);
        }
        let program = program()?.display().to_string();
        let mut refused = None;
        // A port may be taken between finding and using it.
        for _ in 0..5 {
            let port = crate::fault::refused_port()?;
            let directory = services_dir()?.join(format!("run-moto-{}-{port}", std::process::id()));
            fs::create_dir_all(&directory)?;
            let port_text = port.to_string();
            let words = [program.as_str(), "-H", "127.0.0.1", "-p", &port_text].map(str::to_owned);
            let moto = Self {
                guardian: Guardian::start(&directory, &words, &directory.join("log"))?,
                directory,
                address: (Ipv4Addr::LOCALHOST, port).into(),
            };
            match moto.ready().await {
                Ok(()) => return Ok(Some(moto)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::unknown("no port was found for moto")))
    }

    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.request("PUT", &format!("/{}", Self::BUCKET), &[]).await {
                Ok((200, _)) => return Ok(()),
                _ if Instant::now() > deadline || self.log().contains("in use") => {
                    return Err(Error::unknown("moto does not get ready").with_context("log", self.log()));
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The fields of a connection to it. Its keys are of no account.
    pub fn connection(&self) -> Value {
        self.connection_at(self.address.port())
    }

    /// The same through a proxy at a port of this machine.
    pub fn connection_at(&self, port: u16) -> Value {
        json!({
            "endpoint": format!("http://127.0.0.1:{port}"),
            "allow_http": true,
            "region": "us-east-1",
            "access_key_id": "AKIDOFATEST",
            "secret_access_key": "a secret of tests",
        })
    }

    /// Stores an object.
    ///
    /// # Errors
    /// When the store refuses it.
    pub async fn put(&self, key: &str, content: &[u8]) -> Result<()> {
        match self.request("PUT", &path(key), content).await? {
            (200, _) => Ok(()),
            (status, _) => Err(Error::unknown(format!("moto answers {status} to a PUT"))),
        }
    }

    /// The content of an object, if it is there.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(match self.request("GET", &path(key), &[]).await? {
            (200, content) => Some(content),
            _ => None,
        })
    }

    /// Removes an object.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.request("DELETE", &path(key), &[]).await.map(drop)
    }

    /// Removes the bucket with all that is in it.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn delete_bucket(&self) -> Result<()> {
        for key in self.keys().await? {
            self.delete(&key).await?;
        }
        self.request("DELETE", &format!("/{}", Self::BUCKET), &[]).await.map(drop)
    }

    /// The keys of all objects.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn keys(&self) -> Result<Vec<String>> {
        self.listed("list-type=2", "Key").await
    }

    /// The ids of the uploads that are neither completed nor aborted.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn uploads(&self) -> Result<Vec<String>> {
        self.listed("uploads", "UploadId").await
    }

    async fn listed(&self, query: &str, element: &str) -> Result<Vec<String>> {
        let (_, xml) = self.request("GET", &format!("/{}?{query}", Self::BUCKET), &[]).await?;
        let xml = String::from_utf8_lossy(&xml).into_owned();
        let tag = format!("<{element}>");
        let texts = xml.split(&tag).skip(1).filter_map(|rest| rest.split('<').next());
        Ok(texts.map(str::to_owned).collect())
    }

    async fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(self.address).await?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20240101/us-east-1/s3/aws4_request\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        match (status, end) {
            (Some(status), Some(end)) => Ok((status, answer.split_off(end))),
            _ => Err(Error::unknown("moto sends no answer")),
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.guardian.end("kill");
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn path(key: &str) -> String {
    format!("/{}/{}", Moto::BUCKET, utf8_percent_encode(key, IN_KEYS))
}

/// The program: the one that the variable names, the one that was fetched, or one on the PATH.
fn program() -> Result<PathBuf> {
    let named = std::env::var_os(PROGRAM).filter(|path| !path.is_empty()).map(PathBuf::from);
    let fetched = services_dir()?.join(format!("moto-{VERSION}/bin/moto_server"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|place| place.join("moto_server"));
    named.into_iter().chain([fetched]).chain(places).find(|program| program.is_file()).ok_or_else(|| {
        Error::unknown("the program `moto_server` is not there").with_hint(format!(
            "`cargo xtask test-drivers --driver filesystem --services required` fetches it, or set {PROGRAM} to its path"
        ))
    })
}

/// Says so where tests are left out.
#[expect(clippy::print_stdout, reason = "a test that is left out must be seen")]
fn skipped() -> bool {
    let skipped = is_skipped("moto");
    if skipped {
        println!("SKIPPED: this test needs the service `moto`");
    }
    skipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_keeps_objects() {
        let Some(moto) = Moto::start().await.unwrap() else { return };
        moto.put("in/a b.csv", b"a\n1\n").await.unwrap();
        assert_eq!(moto.get("in/a b.csv").await.unwrap().as_deref(), Some(b"a\n1\n".as_slice()));
        assert_eq!(moto.keys().await.unwrap(), ["in/a b.csv"]);
        assert!(moto.uploads().await.unwrap().is_empty());
        moto.delete_bucket().await.unwrap();
        assert!(moto.keys().await.unwrap().is_empty());
    }
}

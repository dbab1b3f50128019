//! Passwords that break things, and everything that is said while they are used.

use std::io::Write;
use std::sync::{Arc, Mutex};

use osiris_core::Health;
use serde_json::Value;

use super::{DatabaseDriver, check};
use crate::Bench;
use crate::corpus::SECRETS;

/// Every character that some way of writing a connection has stumbled over.
const CHARACTERS: &str = "@ : / + = % ' \" space ů";

/// The passwords.
pub fn passwords() -> impl Iterator<Item = &'static str> {
    SECRETS.into_iter().chain([CHARACTERS])
}

/// Everything that the process logs.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that is said and logged.
pub struct Said<D> {
    bench: Bench,
    log: Log,
    said: String,
    driver: std::marker::PhantomData<D>,
}

impl<D: DatabaseDriver> Said<D> {
    /// Nothing yet. The process logs into `log`.
    pub fn new(log: Log) -> Self {
        let bench = Bench::new(D::register).unwrap();
        Self { bench, log, said: String::new(), driver: std::marker::PhantomData }
    }

    /// What the doctor says of a connection.
    pub async fn health(&mut self, connection: &Value) -> Health {
        let health = check::<D>(connection).await;
        self.said.push_str(&serde_json::to_string(&health).unwrap());
        health
    }

    /// What the doctor and discovery say of a connection that does not work.
    pub async fn fails(&mut self, connection: &Value) {
        let health = self.health(connection).await;
        assert!(!health.ok, "{health:?}");
        let connection = self.bench.connection(D::EXTRACTOR, connection).unwrap();
        let family = self.bench.driver(D::EXTRACTOR).unwrap();
        let error = family.family().discover(&connection, None).await.unwrap_err();
        self.said.push_str(&format!("{error:?} {} {connection:?}", error.report()));
    }

    /// Everything that was logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned()
    }

    /// Checks that nothing holds the password, nor another spelling of it.
    ///
    /// # Panics
    /// When something does.
    pub fn hides(&self, password: &str) {
        let hex: String = password.bytes().map(|byte| format!("{byte:02x}")).collect();
        for text in [&self.said, &self.log()] {
            let around = |at: usize| text[at.saturating_sub(200)..].chars().take(300).collect::<String>();
            assert_eq!(text.find(password).map(around), None, "the password is in what was said or logged");
            assert!(!text.contains(&hex) && !text.contains(&format!("{password:?}")));
        }
    }
}

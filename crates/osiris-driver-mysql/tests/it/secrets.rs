//! Passwords that break things: they open the door, and nothing that is said holds one of them.

use std::io::Write;
use std::sync::{Arc, Mutex};

use osiris_testkit::Bench;
use osiris_testkit::corpus::SECRETS;
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::Server;
use super::doctor::check;

/// Every character that some way of writing a connection has stumbled over.
const CHARACTERS: &str = "@ : / + = % ' \" space ů";

/// Everything that the process logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_signs_in_and_none_shows() {
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let bench = Bench::new(osiris_driver_mysql::register).unwrap();
    let mut said = String::new();
    for (number, secret) in SECRETS.into_iter().chain([CHARACTERS]).enumerate() {
        // The server's own way to quote: hexadecimal knows no special character.
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let literal = server.value(&format!("SELECT QUOTE(CONVERT(0x{hex} USING utf8mb4))")).await.unwrap().unwrap();
        server
            .execute(&format!(
                "CREATE USER user{number}@'%' IDENTIFIED BY {literal}; GRANT SELECT ON test.* TO user{number}@'%'"
            ))
            .await
            .unwrap();
        for fields in [json!({}), json!({"tls": "disabled"}), json!({"ssl_ca": server.ca()}), json!({"echo": true})] {
            let mut fields = server.connection_with(fields);
            fields["user"] = json!(format!("user{number}"));
            fields["password"] = json!(secret);
            let health = check(&fields).await;
            assert!(health.ok, "{health:?}");
            said.push_str(&serde_json::to_string(&health).unwrap());
            // The same password for somebody who is not known, and a database that is not there.
            for broken in [json!({"user": "nobody"}), json!({"database": "nowhere"}), json!({"port": 1})] {
                let mut fields = fields.clone();
                fields.as_object_mut().unwrap().extend(broken.as_object().unwrap().clone());
                let health = check(&fields).await;
                assert!(!health.ok, "{health:?}");
                said.push_str(&serde_json::to_string(&health).unwrap());
                let connection = bench.connection("mysql.extractor", &fields).unwrap();
                let error =
                    bench.driver("mysql.extractor").unwrap().family().discover(&connection, None).await.unwrap_err();
                said.push_str(&format!("{error:?} {} {connection:?}", error.report()));
            }
        }
        let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        for text in [&said, &log] {
            let at = text.find(secret).map(|at| text[at.saturating_sub(200)..].chars().take(300).collect::<String>());
            assert_eq!(at, None, "the password is in what was said or logged");
            assert!(!text.contains(&hex) && !text.contains(&format!("{secret:?}")));
        }
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("CONNECTION_ID()"), "`echo` logs statements, and this is all: {log}");
}

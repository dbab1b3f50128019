//! Passwords that break things: they open the door, and nothing that is said holds one of them.

use osiris_testkit::database::secrets::{Log, Said, passwords};
use osiris_testkit::services::MysqlOptions;
use serde_json::json;

use super::Server;
use super::subject::Mysql;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_password_signs_in_and_none_shows() {
    let Some(server) = Server::start_with(MysqlOptions::new()).await.unwrap() else { return };
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let mut said = Said::<Mysql>::new(log);
    for (number, secret) in passwords().enumerate() {
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
            let health = said.health(&fields).await;
            assert!(health.ok, "{health:?}");
            // The same password for somebody who is not known, and a database that is not there.
            for broken in [json!({"user": "nobody"}), json!({"database": "nowhere"}), json!({"port": 1})] {
                let mut fields = fields.clone();
                fields.as_object_mut().unwrap().extend(broken.as_object().unwrap().clone());
                said.fails(&fields).await;
            }
        }
        said.hides(secret);
    }
    let log = said.log();
    assert!(log.contains("CONNECTION_ID()"), "`echo` logs statements, and this is all: {log}");
}

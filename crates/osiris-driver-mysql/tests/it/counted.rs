//! What an upsert has done is counted by the server, and an answer that does not add up ends the write.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use osiris_core::{ErrorKind, RetryPolicy, StepFailure, StepOutput};
use osiris_testkit::database::config;
use serde_json::{Value, json};

use super::subject::Writing;

/// A link to `server` that passes every byte, but for a text of its answers that arrives as another one. Its port.
fn link_that_changes(server: SocketAddr, from: &'static str, to: &'static str) -> u16 {
    assert_eq!(from.len(), to.len(), "the packets keep their length");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut up, &mut server));
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(read @ 1..) = down.read(&mut buffer) {
                    // An answer to a statement is one small packet, which is read at once.
                    let answer = &mut buffer[..read];
                    let found = answer.windows(from.len()).position(|window| window == from.as_bytes());
                    if let Some(at) = found {
                        answer[at..at + to.len()].copy_from_slice(to.as_bytes());
                    }
                    if client.write_all(answer).is_err() {
                        break;
                    }
                }
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    port
}

const OLD: &str =
    "DROP TABLE IF EXISTS t; CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2)";
/// One row as it is, one changed, three new.
const DATA: &str = "SELECT * FROM (VALUES (1, 1), (2, 20), (3, 3), (4, 4), (5, 5)) x(id, v)";

async fn upsert(
    writing: &Writing,
    settings: &Value,
    from: &'static str,
    to: &'static str,
) -> Result<StepOutput, StepFailure> {
    writing.execute(OLD).await;
    let port = link_that_changes(writing.server.address().unwrap(), from, to);
    let connection = writing.server.connection_with(json!({"port": port, "tls": "disabled"}));
    let input = writing.bench.table("source", DATA).await.unwrap();
    let step = writing.bench.step("write", "mysql.writer", settings.clone()).connection(connection).input(&input);
    step.retry(RetryPolicy::never()).run().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s49_an_upsert_whose_answers_do_not_add_up_is_rolled_back() {
    let Some(writing) = Writing::new().await else { return };
    for conflict in ["update", "ignore"] {
        let settings = config(json!({"mode": "upsert", "key": "id", "on_conflict": conflict}));
        // Undisturbed: every number is one that the server has said.
        let output = upsert(&writing, &settings, "nothing of this", "nothing of that").await.unwrap();
        let counts = output.counts;
        let expected = if conflict == "update" { (3, 1, 1, 0) } else { (3, 0, 0, 2) };
        assert_eq!((counts.inserted, counts.updated, counts.unchanged, counts.ignored), expected, "{conflict}");
        for (from, to) in [
            // Fewer rows, or more, than were sent to be merged.
            ("Records: 5  Duplicates", "Records: 4  Duplicates"),
            ("Records: 5  Duplicates", "Records: 9  Duplicates"),
            // No number at all.
            ("Records: 5  Duplicates", "Recorbs: 5  Duplicates"),
        ] {
            let failure = upsert(&writing, &settings, from, to).await.unwrap_err();
            assert_eq!(failure.error.kind(), ErrorKind::Integrity, "{conflict}, {to}: {:?}", failure.error);
            assert!(!failure.may_have_written, "{conflict}, {to}: {:?}", failure.error);
            assert_eq!(writing.shown("SELECT * FROM t ORDER BY id").await, "1|1\n2|2", "{conflict}, {to}");
        }
    }
}

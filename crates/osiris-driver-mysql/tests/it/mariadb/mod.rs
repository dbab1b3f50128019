//! Every test, with MariaDB.

pub(crate) use osiris_testkit::services::Mariadb as Server;

#[path = "../connection.rs"]
mod connection;
#[path = "../counted.rs"]
mod counted;
#[path = "../cursor.rs"]
mod cursor;
#[path = "../cursor_bounds.rs"]
mod cursor_bounds;
#[path = "../dependents.rs"]
mod dependents;
#[path = "../discover.rs"]
mod discover;
#[path = "../doctor.rs"]
mod doctor;
#[path = "../engines.rs"]
mod engines;
#[path = "../extract.rs"]
mod extract;
#[path = "../extract_conformance.rs"]
mod extract_conformance;
#[path = "../guard.rs"]
mod guard;
#[path = "../outcome.rs"]
mod outcome;
#[path = "../overwrite.rs"]
mod overwrite;
#[path = "../partition.rs"]
mod partition;
#[path = "../pool.rs"]
mod pool;
#[path = "../read_faults.rs"]
mod read_faults;
#[path = "../rejects.rs"]
mod rejects;
#[path = "../round_trip.rs"]
mod round_trip;
#[path = "../secrets.rs"]
mod secrets;
#[path = "../sessions.rs"]
mod sessions;
#[path = "../subject.rs"]
mod subject;
#[path = "../tls.rs"]
mod tls;
#[path = "../upsert.rs"]
mod upsert;
#[path = "../verify.rs"]
mod verify;
#[path = "../write.rs"]
mod write;
#[path = "../write_conformance.rs"]
mod write_conformance;
#[path = "../write_faults.rs"]
mod write_faults;
#[path = "../write_speed.rs"]
mod write_speed;

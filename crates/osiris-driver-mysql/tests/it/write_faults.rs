//! What goes wrong while rows are written: as for any database, statements that somebody kills, commits that nobody saw end, and
//! disks that are full.

use std::time::Duration;

use osiris_core::ErrorKind;
use osiris_testkit::database::write_faults::{self, MODES, connection, cut, is_new, old, once, settings, told};
use osiris_testkit::proxy::{Direction, Proxy};
use osiris_testkit::services::MysqlOptions;

use super::Server;
use super::subject::{Mysql, Writing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_anywhere_leaves_the_old_table_or_the_new() {
    write_faults::a_connection_that_is_cut_anywhere_leaves_the_old_table_or_the_new::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_any_phase_has_the_old_table_or_the_new() {
    write_faults::a_server_that_is_killed_in_any_phase_has_the_old_table_or_the_new::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_stalls_is_noticed_and_one_that_comes_back_is_used() {
    write_faults::a_network_that_stalls_is_noticed_and_one_that_comes_back_is_used::<Mysql>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_somebody_kills_leaves_the_old_table() {
    let Some(writing) = Writing::new().await else { return };
    writing.execute(&old::<Server>()).await;
    let mut other = writing.server.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE t SET v = v + 0 WHERE id = 50; SELECT * FROM t FOR UPDATE")
        .execute(&mut other)
        .await
        .unwrap();
    let killer = async {
        let find = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'";
        loop {
            if let Some(id) = writing.server.value(find).await.unwrap() {
                writing.execute(&format!("KILL QUERY {id}")).await;
                return;
            }
            // The server renews this view only when it was left alone for a tenth of a second.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    let (outcome, ()) = tokio::join!(once::<Mysql>(&writing.bench, &writing.connection, "upsert"), killer);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Timeout, "{:?}", failure.error);
    assert!(!is_new(&writing.server, "upsert", "killed").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_saw_end_is_reported_as_such_and_not_tried_again() {
    let Some(writing) = Writing::with(MysqlOptions::new()).await else { return };
    let proxy = Proxy::start(writing.server.address().unwrap()).unwrap();
    let connection = connection(&writing.server, &proxy);
    let before = old::<Server>();
    let what = (&connection, "append", before.as_str());
    // How many bytes of answers the write needs: the last of them are the answer to the commit.
    let (mut too_few, mut enough) = (0, 1 << 16);
    while too_few + 1 < enough {
        let middle = (too_few + enough) / 2;
        let (outcome, _) = cut(&writing, &proxy, what, (Direction::Down, middle)).await;
        if outcome.is_ok() { enough = middle } else { too_few = middle }
    }
    for less in 1..16 {
        let (outcome, new) = cut(&writing, &proxy, what, (Direction::Down, enough - less)).await;
        let Err(failure) = outcome else { continue };
        told(&failure, new, &format!("{less} bytes less: {failure:?}"));
        if failure.error.message().contains("either all of the rows are there or none of them") {
            assert!(new && failure.attempts == 1 && !failure.error.is_retryable());
            return;
        }
    }
    panic!("no cut fell into the commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_disk_is_full_keeps_the_old_table_and_says_so() {
    let Some(writing) = Writing::with(MysqlOptions::new().with_megabytes_of_room(24)).await else { return };
    for mode in MODES {
        writing.execute(&old::<Server>()).await;
        writing.execute("ALTER TABLE t ADD filler VARCHAR(4000)").await;
        let data = "SELECT (i + 1000)::INTEGER AS id, 1 AS v, repeat('x', 4000) AS filler FROM range(20000) r(i)";
        let failure = writing.write(settings(mode), data).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Unknown, "{mode}: {}", failure.error.report());
        assert!(
            failure.error.report().contains("free some space, then run again"),
            "{mode}: {}",
            failure.error.report()
        );
        assert!(!is_new(&writing.server, mode, "full").await);
        assert_eq!(writing.shown("SHOW TABLES").await, "t", "{mode} left something behind");
        // What does fit is taken after that.
        let small = "SELECT (i + 1000)::INTEGER AS id, 1 AS v, 'x' AS filler FROM range(3000) r(i)";
        writing.write(settings(mode), small).await.unwrap();
    }
}

//! What is said about connections that do not work, and about those that do.

use osiris_core::{Health, HealthCategory};
use osiris_testkit::database::doctor;
use osiris_testkit::fault;
use osiris_testkit::proxy::{Fault, Proxy};
use osiris_testkit::services::MysqlOptions;
use serde_json::{Value, json};

use super::Server;
use super::subject::Mysql;

async fn check(connection: &Value) -> Health {
    osiris_testkit::database::check::<Mysql>(connection).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_works_is_described() {
    let Some(server) = Server::start().await.unwrap() else { return };
    let health = check(&server.connection()).await;
    assert!(health.ok && health.category == HealthCategory::Ok, "{health:?}");
    assert!(health.message.starts_with("signed in to M"), "{health:?}");
    for detail in ["server_version", "account", "address", "database", "sql_mode", "time_zone", "tls"] {
        assert!(health.details.contains_key(detail), "{detail}: {health:?}");
    }
    assert_eq!(health.details["database"], server.database());
    let without = check(&server.connection_with(json!({"database": null}))).await;
    assert_eq!((without.ok, without.details["database"].as_str()), (true, "(none)"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s38_the_doctor_says_whether_the_server_was_verified() {
    let Some(server) = Server::start().await.unwrap() else { return };
    let ca = server.ca();
    for (fields, verified) in [
        (json!({"tls": "disabled"}), "no"),
        (json!({"tls": "preferred"}), "no"),
        (json!({"tls": "required"}), "no"),
        (json!({"tls": "verify-ca", "ssl_ca": ca}), "certificate"),
        (json!({"tls": "verify-full", "ssl_ca": ca}), "certificate and name"),
    ] {
        // Nobody answers in the place of a server of this machine.
        let health = check(&server.connection_with(fields.clone())).await;
        assert!(health.ok && !health.message.contains("not verified"), "{fields}: {health:?}");
        assert_eq!(health.details["server_verified"], verified, "{fields}: {health:?}");
        assert_eq!(health.details["tls"] == "none", fields["tls"] == "disabled", "{fields}: {health:?}");
    }
    // The same server by an address that is not known to be of this machine.
    for fields in [json!({}), json!({"tls": "disabled"}), json!({"tls": "preferred"}), json!({"tls": "required"})] {
        let mut connection = server.connection_with(fields.clone());
        connection["host"] = json!("0.0.0.0");
        let health = check(&connection).await;
        assert!(health.ok, "{health:?}");
        let said = "the identity of the server is not verified: set `tls: verify-full`";
        assert!(health.message.contains(said), "{fields}: {health:?}");
        assert_eq!(health.details["server_verified"], "no", "{fields}: {health:?}");
    }
    let mut verified = server.connection_with(json!({"tls": "verify-ca", "ssl_ca": ca}));
    verified["host"] = json!("0.0.0.0");
    let health = check(&verified).await;
    assert!(health.ok && !health.message.contains("not verified"), "{health:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_account_is_said_with_what_to_do() {
    let options = MysqlOptions::new().without_tls();
    let Some(server) = Server::start_with(options).await.unwrap() else { return };
    server
        .execute(
            "CREATE DATABASE other; CREATE TABLE test.t (a INT); \
             CREATE USER plain@'%' IDENTIFIED BY 'pw1'; GRANT SELECT ON test.* TO plain@'%'; \
             CREATE USER late@'%' IDENTIFIED BY 'pw1' PASSWORD EXPIRE; GRANT SELECT ON test.* TO late@'%'; \
             CREATE USER shut@'%' IDENTIFIED BY 'pw1' ACCOUNT LOCK; \
             CREATE USER safe@'%' IDENTIFIED BY 'pw1' REQUIRE SSL; \
             CREATE USER away@'10.1.2.3' IDENTIFIED BY 'pw1'; \
             CREATE USER wide@'%' IDENTIFIED BY 'pw1'; GRANT SELECT ON *.* TO wide@'%'",
        )
        .await
        .unwrap();
    let as_user = |user: &str| server.connection_with(json!({"user": user, "password": "pw1", "database": "test"}));
    let of = |mut connection: Value, field: &str, value: &str| {
        connection[field] = json!(value);
        connection
    };
    assert!(check(&as_user("plain")).await.ok);
    let cases = [
        ("wrong password", of(as_user("plain"), "password", "pw2")),
        ("unknown user", as_user("nobody")),
        ("unknown database", of(as_user("wide"), "database", "nowhere")),
        ("no grant", of(as_user("plain"), "database", "other")),
        ("expired", as_user("late")),
        ("locked", as_user("shut")),
        ("wants TLS", as_user("safe")),
        ("another host", as_user("away")),
    ];
    let mut seen = doctor::failures::<Mysql>(&cases).await;
    if !Server::IS_MARIADB {
        // The same kinds and advice, in the other server's words.
        seen = seen
            .replace(
                "Your password has expired. To log in you must change it using a client that supports expired passwords.",
                "You must SET PASSWORD before executing this statement",
            )
            .replace("Access denied for user 'shut'@'127.0.0.1'. Account is locked.", "Access denied, this account is locked");
    }
    insta::assert_snapshot!(seen, @"
    wrong password: Auth | connecting to 127.0.0.1:PORT as `plain`: Access denied for user 'plain'@'127.0.0.1' (using password: YES): check `user` and `password`, or those in `dsn`, and the host of the account; an account created with REQUIRE SSL needs `tls: required`
    unknown user: Auth | connecting to 127.0.0.1:PORT as `nobody`: Access denied for user 'nobody'@'127.0.0.1' (using password: YES): check `user` and `password`, or those in `dsn`, and the host of the account; an account created with REQUIRE SSL needs `tls: required`
    unknown database: Unknown | connecting to 127.0.0.1:PORT as `wide`: Unknown database 'nowhere': check `database`, or the one in `dsn`; SHOW DATABASES lists those visible to the user
    no grant: Permission | connecting to 127.0.0.1:PORT as `plain`: Access denied for user 'plain'@'%' to database 'other': grant the privilege: GRANT ... ON database.table TO the user; one granted through a role needs SET DEFAULT ROLE
    expired: Auth | connecting to 127.0.0.1:PORT as `late`: You must SET PASSWORD before executing this statement: the password has expired: change it with ALTER USER ... IDENTIFIED BY and set the new one in `password` or `dsn`
    locked: Auth | connecting to 127.0.0.1:PORT as `shut`: Access denied, this account is locked: unlock the account: ALTER USER ... ACCOUNT UNLOCK
    wants TLS: Auth | connecting to 127.0.0.1:PORT as `safe`: Access denied for user 'safe'@'127.0.0.1' (using password: YES): check `user` and `password`, or those in `dsn`, and the host of the account; an account created with REQUIRE SSL needs `tls: required`
    another host: Auth | connecting to 127.0.0.1:PORT as `away`: Access denied for user 'away'@'127.0.0.1' (using password: YES): check `user` and `password`, or those in `dsn`, and the host of the account; an account created with REQUIRE SSL needs `tls: required`
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_connections_are_a_matter_of_the_network_and_pass() {
    let options = MysqlOptions::new().with_setting("max_connections", "10");
    let Some(server) = Server::start_with(options).await.unwrap() else { return };
    server
        .execute("CREATE USER plain@'%' IDENTIFIED BY 'pw1'; CREATE USER once@'%' IDENTIFIED BY 'pw1' WITH MAX_USER_CONNECTIONS 1")
        .await
        .unwrap();
    let as_user = |user: &str| server.connection_with(json!({"user": user, "password": "pw1", "database": null}));
    // One for the account, then all of the server's.
    let once = server.connect_as("once", "pw1").await.unwrap();
    let health = check(&as_user("once")).await;
    assert_eq!(health.category, HealthCategory::Network, "{health:?}");
    assert!(health.message.contains("max_connections"), "{health:?}");
    drop(once);
    let held = doctor::fill_up::<Mysql>(&server, &as_user("plain")).await;
    // The server says so instead of greeting; TLS by our own rules must not be in its way.
    let mut verified = as_user("plain");
    verified["ssl_ca"] = json!(server.ca());
    let health = check(&verified).await;
    assert!(health.message.contains("too many connections"), "{health:?}");
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_way_is_said_within_the_limit() {
    let Some(server) = Server::start().await.unwrap() else { return };
    let silent = Proxy::start(server.address().unwrap()).unwrap();
    silent.set(Fault::BLACK_HOLE);
    let with = |fields: Value| server.connection_with(fields);
    let cases = [
        ("host not found", with(json!({"host": "no-such-host.invalid"}))),
        ("refused", with(json!({"port": fault::refused_port().unwrap()}))),
        ("black hole", with(json!({"port": silent.port()}))),
        ("black hole, own CA", with(json!({"port": silent.port(), "ssl_ca": server.ca()}))),
        ("closes at once", with(json!({"port": doctor::closing_port()}))),
        ("speaks something else", with(json!({"port": doctor::web_port()}))),
        ("no such socket", with(json!({"socket": "/nowhere/mysql.sock"}))),
    ];
    let seen = doctor::failures::<Mysql>(&cases).await;
    insta::assert_snapshot!(seen, @"
    host not found: Network | connecting to no-such-host.invalid:PORT as `osiris`: unknown host: check `host`, or the one in `dsn`, and the name resolution of this machine
    refused: Network | connecting to 127.0.0.1:PORT as `osiris`: connection refused: check that the server is running, and `host` and `port` or those in `dsn`
    black hole: Timeout | connecting to 127.0.0.1:PORT as `osiris`: no response within 1900 ms: check the address and firewalls
    black hole, own CA: Timeout | connecting to 127.0.0.1:PORT as `osiris`: no response within 1900 ms: check the address and firewalls
    closes at once: Network | connecting to 127.0.0.1:PORT as `osiris`: the server closed the connection: check the server's log: it may have been restarted, or the connection killed
    speaks something else: Network | connecting to 127.0.0.1:PORT as `osiris`: the server closed the connection: check the server's log: it may have been restarted, or the connection killed
    no such socket: Network | connecting to /nowhere/mysql.sock as `osiris`: no such socket: check `socket`, or the one in `dsn`: it is a file that the server creates
    ");
    doctor::answers_within_a_millisecond::<Mysql>(&server.connection()).await;
}

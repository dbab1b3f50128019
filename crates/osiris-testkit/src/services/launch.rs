//! How the program of a MariaDB or MySQL is started.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use osiris_core::Result;

use super::brand::Brand;
use crate::certificates::{Authority, self_signed};

/// The account of drivers, with rights on the database `test` only.
pub(super) const USER: &str = "osiris";
/// The account of the tests themselves.
pub(super) const ADMIN: &str = "admin";
/// Everything that has broken a connection string before.
pub(super) const PASSWORD: &str = "p@s:s/w+o=r%d 'x' \"y\" ů";

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct MysqlOptions {
    settings: Vec<String>,
    without_tls: bool,
    names: Option<Vec<String>>,
    self_signed: bool,
    redo_log: Option<u32>,
}

impl MysqlOptions {
    /// As `test-drivers` has it: TLS with a certificate for `localhost` and `127.0.0.1`, local files allowed, utf8mb4.
    pub fn new() -> Self {
        Self::default()
    }

    /// A server variable, such as `("sql_mode", "ANSI_QUOTES")`.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("--{}={value}", name.replace('_', "-")));
        self
    }

    /// Without TLS.
    #[must_use]
    pub fn without_tls(mut self) -> Self {
        self.without_tls = true;
        self
    }

    /// With a certificate for these names that signed itself, as an authority does.
    #[must_use]
    pub fn self_signed(mut self, names: &[&str]) -> Self {
        self.self_signed = true;
        self.with_certificate_for(names)
    }

    /// With a certificate for these names and no others.
    #[must_use]
    pub fn with_certificate_for(mut self, names: &[&str]) -> Self {
        self.names = Some(names.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// With a redo log of so many megabytes.
    #[must_use]
    pub fn with_redo_log(mut self, megabytes: u32) -> Self {
        self.redo_log = Some(megabytes);
        self
    }

    /// With so little room for data that a larger table does not fit: error 1114, as when the disk is full.
    #[must_use]
    pub fn with_megabytes_of_room(self, megabytes: u32) -> Self {
        self.with_setting("innodb_file_per_table", "0")
            .with_setting("innodb_data_file_path", &format!("ibdata1:12M:autoextend:max:{}M", 12 + megabytes))
    }
}

/// The program with its arguments; makes the files they name.
pub(super) fn command<B: Brand>(
    directory: &Path,
    port: u16,
    program: &[OsString],
    user: Option<&str>,
    options: &MysqlOptions,
) -> Result<Vec<String>> {
    let path = |name: &str| directory.join(name).display().to_string();
    let password = PASSWORD.replace('\'', "''");
    let init = format!(
        "CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4;\n\
         CREATE USER IF NOT EXISTS {ADMIN}@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION;\n\
         CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON test.* TO {USER}@'%';\n"
    );
    fs::write(directory.join("init.sql"), init)?;
    let mut command: Vec<String> = program.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    // The server refuses to run as root unless it is told to.
    command.extend(user.map(str::to_owned));
    command.push(format!("--datadir={}", path("data")));
    command.push(format!("--port={port}"));
    command.push(format!("--init-file={}", path("init.sql")));
    // In a shared directory the temporary tables that a killed server leaves meet those of a later one with its process id, and
    // MariaDB 10.11 crashes when it cannot make one.
    fs::create_dir_all(directory.join("tmp"))?;
    command.push(format!("--tmpdir={}", path("tmp")));
    // Relative to the data directory: a path of a socket has about a hundred letters at most.
    command.extend(["--socket=s.sock", "--pid-file=pid", "--bind-address=127.0.0.1"].map(str::to_owned));
    command.extend(
        [
            "--skip-name-resolve",
            // A commit reaches the system at once, so that it outlives the server's process, though not the machine.
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=64M",
            "--local-infile=1",
            "--character-set-server=utf8mb4",
        ]
        .map(str::to_owned),
    );
    command.extend(B::ARGUMENTS.iter().map(|&argument| argument.to_owned()));
    command.push(format!("{}={}M", B::REDO_LOG, options.redo_log.unwrap_or(16)));
    if options.without_tls {
        command.push(B::WITHOUT_TLS.to_owned());
    } else {
        let names = options.names.clone().unwrap_or_else(|| vec!["localhost".to_owned(), "127.0.0.1".to_owned()]);
        if options.self_signed {
            let (certificate, _) = self_signed(directory, "server", &names, 2999)?;
            fs::copy(certificate, directory.join("ca.pem"))?;
        } else {
            let authority = Authority::new()?;
            authority.write(&directory.join("ca.pem"))?;
            authority.issue(directory, "server", &names)?;
        }
        command.push(format!("--ssl-ca={}", path("ca.pem")));
        command.push(format!("--ssl-cert={}", path("server.pem")));
        command.push(format!("--ssl-key={}", path("server.key")));
    }
    command.extend(options.settings.iter().cloned());
    Ok(command)
}

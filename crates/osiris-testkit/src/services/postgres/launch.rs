//! How the program of a PostgreSQL is started.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use osiris_core::Result;

use super::home::{Home, program, run_as};
use crate::certificates::{Authority, self_signed};

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    settings: Vec<(String, String)>,
    access: Vec<String>,
    without_tls: bool,
    ipv6: bool,
    names: Option<Vec<String>>,
    self_signed: bool,
}

impl PostgresOptions {
    /// As `test-drivers` has it: TLS with a certificate for `localhost`, `127.0.0.1` and `::1`, UTF-8, no synchronisation with the
    /// disk: what is committed outlives the server's process, though not the machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// A server setting, such as `("timezone", "Asia/Kathmandu")`.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of `pg_hba.conf`, before the others: `hostnossl all guest all reject`.
    #[must_use]
    pub fn with_access(mut self, line: &str) -> Self {
        self.access.push(line.to_owned());
        self
    }

    /// Without TLS.
    #[must_use]
    pub fn without_tls(mut self) -> Self {
        self.without_tls = true;
        self
    }

    /// At `::1` only.
    #[must_use]
    pub fn listening_on_ipv6_only(mut self) -> Self {
        self.ipv6 = true;
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

    pub(super) fn address(&self) -> IpAddr {
        if self.ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
    }
}

/// The program with its arguments; makes the files they name.
pub(super) fn command(home: &Home, directory: &Path, port: u16, options: &PostgresOptions) -> Result<Vec<String>> {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut settings = vec![
        ("listen_addresses".to_owned(), options.address().to_string()),
        ("port".to_owned(), port.to_string()),
        ("unix_socket_directories".to_owned(), String::new()),
    ];
    for (name, value) in [
        // A commit is written before it is acknowledged, which is all that a killed process needs.
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("max_wal_size", "2GB"),
        ("shared_buffers", "64MB"),
        ("log_line_prefix", "%q[%u] "),
        ("jit", "off"),
    ] {
        settings.push((name.to_owned(), value.to_owned()));
    }
    if !options.without_tls {
        let all = || ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let names = options.names.clone().unwrap_or_else(all);
        let (certificate, key) = if options.self_signed {
            let made = self_signed(directory, "server", &names, 2999)?;
            fs::copy(&made.0, directory.join("ca.pem"))?;
            made
        } else {
            let authority = Authority::new()?;
            authority.write(&directory.join("ca.pem"))?;
            authority.issue(directory, "server", &names)?
        };
        restrict(&key)?;
        home.give(&certificate)?;
        home.give(&key)?;
        settings.push(("ssl".to_owned(), "on".to_owned()));
        settings.push(("ssl_cert_file".to_owned(), path("server.pem")));
        settings.push(("ssl_key_file".to_owned(), path("server.key")));
    }
    settings.extend(options.settings.iter().cloned());
    if !options.access.is_empty() {
        let file = directory.join("data/pg_hba.conf");
        let lines = format!("{}\n{}", options.access.join("\n"), fs::read_to_string(&file)?);
        fs::write(file, lines)?;
    }
    let mut command: Vec<String> =
        run_as(home.user).into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    command.extend([program("postgres").display().to_string(), "-D".to_owned(), path("data")]);
    for (name, value) in settings {
        command.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    Ok(command)
}

/// The server refuses a key that others can read.
fn restrict(key: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(key, fs::Permissions::from_mode(0o600))?)
}
